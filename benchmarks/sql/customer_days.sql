-- One row per customer and day: orders, units, money and cost, refunds on the day of their sale.
WITH sold AS (
    SELECT
        order_id, customer_id, min(order_date) AS day, bool_and(margin IS NOT NULL) AS is_known,
        list(DISTINCT product_id) AS products,
        list(DISTINCT product_id) FILTER (margin IS NULL) AS unknown
    FROM orders
    WHERE NOT is_refund AND order_id IN (SELECT refund_of FROM orders WHERE is_refund)
    GROUP BY ALL
), given_back AS (
    -- What is given back costs what is known of its product in that order, or of the whole order.
    SELECT
        back.customer_id, coalesce(sold.day, order_date) AS day, quantity, revenue, order_cost,
        greatest(event_date, known_date) AS known,
        CASE
            WHEN sold.day IS NULL THEN margin
            WHEN CASE WHEN list_contains(products, product_id)
                THEN NOT coalesce(list_contains(unknown, product_id), FALSE) ELSE is_known END
            THEN coalesce(margin, revenue - coalesce(order_cost, 0))
        END AS margin
    FROM orders AS back
    LEFT JOIN sold ON sold.order_id = back.refund_of AND sold.customer_id = back.customer_id
    WHERE is_refund
), lines AS NOT MATERIALIZED (
    SELECT
        customer_id, order_date AS day, order_id, quantity, revenue, discount, margin, order_cost,
        0 AS returned
    FROM orders
    WHERE NOT is_refund
    UNION ALL
    SELECT customer_id, day, NULL, quantity, revenue, NULL, margin, order_cost, -revenue
    FROM given_back
), placed AS (
    -- By order first: less room than to count distinct orders. As DOUBLE, whole sums are exact.
    SELECT
        customer_id, day, order_id,
        sum(quantity) AS units,
        sum(revenue::DOUBLE) AS revenue,
        sum(discount::DOUBLE) AS discounts,
        sum(margin::DOUBLE) AS margin,
        sum(revenue::DOUBLE) FILTER (margin IS NOT NULL) AS margin_revenue,
        sum(returned::DOUBLE) AS refunds,
        sum(order_cost::DOUBLE) FILTER (margin IS NOT NULL) AS order_cost
    FROM lines
    GROUP BY ALL
), days AS (
    SELECT
        customer_id, day,
        count(order_id) AS orders,
        coalesce(sum(units), 0) AS units,
        sum(revenue)::BIGINT AS revenue,
        coalesce(sum(discounts), 0)::BIGINT AS discounts,
        coalesce(sum(margin), 0)::BIGINT AS margin,
        coalesce(sum(margin_revenue), 0)::BIGINT AS margin_revenue,
        sum(refunds)::BIGINT AS refunds,
        coalesce(sum(order_cost), 0)::BIGINT AS order_cost
    FROM placed
    GROUP BY ALL
)
SELECT
    days.* EXCLUDE (bought), margin_revenue - margin AS cost, cohort_day, first_day, channel,
    lag(CASE WHEN orders > 0 THEN day END IGNORE NULLS) OVER turn AS previous_day,
    coalesce(sum(orders::DOUBLE) OVER past, 0) AS orders_before,
    count(CASE WHEN bought THEN 1 END) OVER so_far AS purchase_number,
    lead(CASE WHEN bought THEN day END IGNORE NULLS) OVER turn AS next_purchase,
    coalesce(sum(revenue::DOUBLE) FILTER (day >= cohort_day) OVER past, 0) AS revenue_before,
    coalesce(sum(margin::DOUBLE) FILTER (day >= cohort_day) OVER past, 0) AS margin_before,
    coalesce(sum(refunds::DOUBLE) FILTER (day >= cohort_day) OVER past, 0) AS refunds_before,
    coalesce(sum((margin_revenue - margin)::DOUBLE) FILTER (day >= cohort_day) OVER past, 0)
        AS cost_before
FROM (SELECT *, orders > 0 AND (revenue > 0 OR refunds = 0) AS bought FROM days) AS days
JOIN customer_facts USING (customer_id)
WINDOW turn AS (PARTITION BY customer_id ORDER BY day),
    past AS (
        PARTITION BY customer_id ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
    ),
    so_far AS (PARTITION BY customer_id ORDER BY day ROWS UNBOUNDED PRECEDING)
