-- Months: customers active at the end, of them already at the start, and of them new.
WITH days AS (
    SELECT DISTINCT day FROM customer_days
),
-- With one before the first, at whose end nobody is active.
months AS (
    SELECT unnest(generate_series(
        date_trunc('month', min(day)) - INTERVAL 1 MONTH, max(day), INTERVAL 1 MONTH
    ))::DATE AS start
    FROM days
),
-- For a purchase of each day: a bit a month, set if the customer is active at its end by it.
stays AS (
    SELECT
        day,
        string_agg(
            if(last_day(start) - day BETWEEN 0 AND getvariable('window') - 1, '1', '0'), ''
            ORDER BY start
        )::BIT AS ends
    FROM months, days
    GROUP BY day
),
bought AS NOT MATERIALIZED (
    SELECT customer_id, day, first_day, date_trunc('month', cohort_day) AS cohort
    FROM customer_days
    WHERE orders > 0 AND (revenue > 0 OR refunds = 0)
),
later AS (
    SELECT any_value(first_day) AS first_day, any_value(cohort) AS cohort, bit_or(ends) AS ends
    FROM bought
    JOIN stays USING (day)
    WHERE day > first_day
    GROUP BY customer_id
),
came_back AS (
    SELECT cohort, first_day, later.ends | stays.ends AS all_ends, count(*) AS n
    FROM later
    JOIN stays ON day = first_day
    GROUP BY GROUPING SETS ((cohort, all_ends), (cohort, first_day))
),
customers AS (
    SELECT cohort, all_ends AS ends, n
    FROM came_back
    WHERE first_day IS NULL
    UNION ALL
    -- Whoever bought once: all of a first day, less those who came back.
    SELECT cohort, ends, sum(n)
    FROM (
        SELECT cohort, first_day, -n AS n FROM came_back WHERE first_day IS NOT NULL
        UNION ALL
        SELECT cohort, first_day, count(*) FROM bought WHERE day = first_day GROUP BY ALL
    )
    JOIN stays ON day = first_day
    GROUP BY ALL
),
places AS (
    SELECT start, row_number() OVER (ORDER BY start)::INT - 1 AS place FROM months
),
counted AS (
    SELECT
        place, sum(n) AS active, sum(n) FILTER (get_bit(ends, place - 1) = 1) AS kept,
        sum(n) FILTER (cohort = start) AS new_active
    FROM customers, places
    WHERE get_bit(ends, place) = 1
    GROUP BY ALL
)
SELECT
    start, coalesce(active, 0) AS active, coalesce(kept, 0) AS kept,
    coalesce(new_active, 0) AS new_active
FROM places
LEFT JOIN counted USING (place)
WHERE place > 0
