-- One row for all order lines: how many, of how many orders and customers, their money and days.
SELECT
    count(*) FILTER (part = 1) AS "rows",
    (SELECT count(DISTINCT order_id) FROM orders WHERE NOT is_refund) AS orders,
    (SELECT count(DISTINCT customer_id) FROM orders) AS customers,
    coalesce(sum(revenue), 0) AS revenue,
    min(order_date) AS first_day,
    max(order_date) AS last_day
FROM orders
