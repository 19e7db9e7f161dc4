-- Months that lines count in, by the month in which they became known: sales and refunds apart.
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
), placed AS (
    SELECT order_date AS day, min(greatest(event_date, known_date)) AS known
    FROM orders
    WHERE NOT is_refund
    GROUP BY customer_id, order_id, order_date
), sales AS (
    SELECT
        order_date AS day,
        greatest(event_date, known_date) AS known,
        sum(revenue) AS revenue,
        sum(margin) AS margin
    FROM orders
    WHERE NOT is_refund
    GROUP BY ALL
), refunds AS (
    SELECT day, known, sum(revenue) AS revenue, sum(margin) AS margin
    FROM given_back
    GROUP BY ALL
), days AS (
    SELECT day, known, FALSE AS is_refund, count(*) AS orders, 0 AS revenue, 0 AS margin
    FROM placed
    GROUP BY ALL
    UNION ALL
    SELECT day, known, FALSE, 0, revenue, margin FROM sales
    UNION ALL
    SELECT day, known, TRUE, 0, revenue, margin FROM refunds
)
SELECT
    date_trunc('month', day) AS start,
    date_trunc('month', known) AS known,
    is_refund,
    sum(orders) AS orders,
    sum(revenue) AS revenue,
    coalesce(sum(margin), 0) AS margin,
    coalesce(-sum(revenue) FILTER (is_refund), 0) AS refunds
FROM days
GROUP BY ALL
