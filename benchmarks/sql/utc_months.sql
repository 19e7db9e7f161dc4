-- Sale lines, and those whose day or month is another by UTC than by the shop's local time.
SELECT
    count(*) AS "rows",
    coalesce(sum(revenue), 0) AS revenue,
    count(*) FILTER (utc <> order_date) AS moved_days,
    count(*) FILTER (moves_month) AS moved_months,
    coalesce(sum(revenue) FILTER (moves_month), 0) AS moved_revenue
FROM (
    SELECT
        revenue, order_date, ordered_at::DATE AS utc,
        utc <> order_date AND month(utc) <> month(order_date) AS moves_month
    FROM orders
    WHERE NOT is_refund
)
