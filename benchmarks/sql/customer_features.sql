-- One row per customer seen by the day `split`, at most 200,000: features before, results after.
-- Pseudonyms are random: those up to the 200,000th are a sample.
WITH drawn AS (
    SELECT min(customer_id, 200000)[-1] AS last_id, count(*) AS population
    FROM customer_days
    WHERE day = first_day AND day <= getvariable('split')
),
spans AS (
    SELECT
        last_id, population, getvariable('split') AS s, getvariable('until') AS u,
        s - (u - s)::INT AS previous, s - 30 AS d30, s - 90 AS d90, s - 365 AS d365
    FROM drawn
),
histories AS (
    SELECT
        customer_id, first_day, max(day) FILTER (day <= s) AS last_day,
        count(*) FILTER (day <= s) - 1 AS frequency, any_value(population) AS population,
        count(*) FILTER (day <= s AND day > first_day AND revenue > 0) AS spend_frequency,
        sum(revenue) FILTER (day <= s AND day > first_day AND revenue > 0) AS total_spend,
        sum(revenue) FILTER (day = first_day) AS first_revenue,
        arg_max(revenue, day) FILTER (day <= s) AS last_revenue,
        count(*) FILTER (day <= s AND day > first_day AND day > previous) AS previous_frequency,
        sum(revenue) FILTER (day <= s AND day > first_day AND day > previous) AS previous_revenue,
        count(*) FILTER (day <= s AND day > d365 AND day <= u - 365) AS same_season,
        sum(margin) FILTER (day <= s AND day > d365) AS margin_365,
        count(*) FILTER (day <= s AND day > d30) AS days_30,
        count(*) FILTER (day <= s AND day > d90) AS days_90,
        count(*) FILTER (day <= s AND day > d365) AS days_365,
        sum(revenue) FILTER (day <= s AND day > d30) AS revenue_30,
        sum(revenue) FILTER (day <= s AND day > d90) AS revenue_90,
        sum(revenue) FILTER (day <= s AND day > d365) AS revenue_365,
        count(*) FILTER (day > s) AS later_frequency,
        sum(revenue) FILTER (day > s) AS later_revenue,
        sum(margin) FILTER (day > s) AS later_margin,
        any_value(channel) AS channel, any_value(cohort_day) AS cohort_day
    FROM customer_days, spans
    WHERE first_day <= s AND day <= u AND customer_id <= last_id
        AND orders > 0 AND (revenue > 0 OR refunds = 0)
    GROUP BY customer_id, first_day
),
mixes AS (
    SELECT
        customer_id,
        count(DISTINCT product_id) FILTER (NOT is_refund) AS products,
        count(DISTINCT category) FILTER (NOT is_refund) AS categories,
        sum(revenue + coalesce(discount, 0)) FILTER (NOT is_refund) AS gross,
        sum(discount) FILTER (NOT is_refund) AS discounts,
        -sum(revenue) FILTER (is_refund) AS given_back
    FROM orders, spans
    WHERE customer_id <= last_id AND event_date <= s
    GROUP BY customer_id
),
tastes AS (
    SELECT customer_id, min({r: -revenue, name: category}).name AS main_category
    FROM (
        SELECT customer_id, category, sum(revenue) AS revenue
        FROM orders, spans
        WHERE customer_id <= last_id AND event_date <= s AND NOT is_refund
            AND category IS NOT NULL
        GROUP BY ALL
    )
    GROUP BY customer_id
),
-- Whose last word on any purpose was yes; of two at one moment, no is the last.
willing AS (
    SELECT customer_id
    FROM consents, spans
    WHERE customer_id <= last_id AND date <= s
    GROUP BY customer_id, purpose
    HAVING NOT arg_max(lower(state) <> 'granted', (consents.at, lower(state) <> 'granted'))
),
contacts AS (
    SELECT
        customer_id, count(*) AS messages, count(*) FILTER (opened) AS opened,
        count(*) FILTER (clicked) AS clicked
    FROM touchpoints SEMI JOIN willing USING (customer_id), spans
    WHERE sent_date <= s AND sent_date > d90
    GROUP BY customer_id
),
served AS (
    SELECT customer_id, count(*) AS tickets, sum(amount) AS served
    FROM service_costs, spans
    WHERE customer_id <= last_id AND date <= s
    GROUP BY customer_id
),
won AS (
    SELECT start, channel AS won_by, cost / new_customers AS channel_cost
    FROM acquisition
    WHERE new_customers > 0
)
SELECT
    first_day, last_day, frequency, population, products, categories, main_category, channel,
    messages, opened, clicked, channel_cost,
    coalesce(COLUMNS('_frequency|spend|revenue|margin|days_|same|gross|discounts'), 0) AS '\0',
    coalesce(COLUMNS('given|tickets|served'), 0) AS '\0'
FROM histories
LEFT JOIN mixes USING (customer_id)
LEFT JOIN tastes USING (customer_id)
LEFT JOIN contacts USING (customer_id)
LEFT JOIN served USING (customer_id)
LEFT JOIN won ON won_by = channel AND start = date_trunc('month', cohort_day)
