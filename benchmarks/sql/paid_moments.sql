-- One row: paid orders, their customers, and money before and after refunds.
WITH each_order AS (
    -- All refunds of a customer are one group, without an order.
    SELECT
        customer_id,
        CASE WHEN NOT is_refund THEN order_id END AS order_id,
        bool_or(NOT is_refund AND revenue > 0) AS is_paid,
        sum(revenue::DOUBLE) AS revenue
    FROM orders
    GROUP BY ALL
), each_customer AS (
    SELECT
        count(*) FILTER (is_paid) AS paid,
        count(order_id) AS every,
        sum(revenue) FILTER (order_id IS NOT NULL) AS gross,
        sum(revenue) AS net
    FROM each_order
    GROUP BY customer_id
)
SELECT
    count(*) FILTER (paid > 0) AS customers,
    sum(paid) AS orders,
    sum(gross) AS gross_revenue,
    sum(round(gross / paid)) FILTER (paid > 0) AS gross_aov_total,
    count(*) AS every_customer,
    sum(every) AS every_order,
    sum(net) AS net_revenue
FROM each_customer
