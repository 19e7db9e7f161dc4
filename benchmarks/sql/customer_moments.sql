-- One row: customers with an order, what they brought, and the months they came back in.
WITH shop AS (
    SELECT max(day) AS last_day
    FROM customer_days
    WHERE orders > 0
), each_customer AS (
    SELECT
        sum(orders::DOUBLE) AS orders,
        sum(revenue::DOUBLE) AS revenue,
        -- A bit for each month with an order, back from the last month: 127 months at most.
        bit_or(
            CASE WHEN orders > 0 THEN 1::HUGEINT << date_diff('month', day, last_day)::INTEGER END
        ) AS months
    FROM customer_days, shop
    GROUP BY customer_id
    HAVING sum(orders::DOUBLE) > 0
)
SELECT
    count(*) AS customers,
    sum(orders) AS orders,
    sum(revenue) AS revenue,
    sum(round(revenue / orders)) AS aov_total,
    median(revenue) AS median_revenue,
    sum(bit_count(months >> 1)) AS active_months,
    sum(bit_count(months & (months >> 1))) AS followed_months
FROM each_customer
