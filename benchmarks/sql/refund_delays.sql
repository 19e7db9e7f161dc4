-- Days from a sale to the refund of it, and how much money went back after so many.
WITH sold AS (
    SELECT order_id, customer_id, min(order_date) AS day
    FROM orders
    WHERE NOT is_refund AND order_id IN (SELECT refund_of FROM orders WHERE is_refund)
    GROUP BY ALL
)
SELECT greatest(back.refunded_date - sold.day, 0) AS days, sum(-back.revenue) AS refunds
FROM orders AS back
JOIN sold ON sold.order_id = back.refund_of AND sold.customer_id = back.customer_id
WHERE back.is_refund AND back.refunded_date IS NOT NULL
GROUP BY ALL
