-- What customers of a year did in the days after it, up to as_of, as moments by number of days.
WITH money AS (
    SELECT customer_id, day, cohort_day, orders, revenue, margin
    FROM customer_days
    UNION ALL
    SELECT customer_id, date, NULL, 0, 0, -amount
    FROM service_costs
), aged AS (
    SELECT
        customer_id,
        getvariable('as_of') - day AS ago,
        CASE WHEN day = cohort_day THEN getvariable('as_of') - day END AS joined_ago,
        orders::DOUBLE AS orders,
        revenue::DOUBLE AS revenue,
        margin::DOUBLE AS margin
    FROM money
    WHERE day > getvariable('as_of') - 545  -- the longest window and the year before it
), people AS (
    SELECT
        min(joined_ago) AS joined_ago,
        bool_or(orders > 0) FILTER (ago BETWEEN 7 AND 371) AS known_7,
        bool_or(orders > 0) FILTER (ago BETWEEN 14 AND 378) AS known_14,
        bool_or(orders > 0) FILTER (ago BETWEEN 30 AND 394) AS known_30,
        bool_or(orders > 0) FILTER (ago BETWEEN 60 AND 424) AS known_60,
        bool_or(orders > 0) FILTER (ago BETWEEN 180 AND 544) AS known_180,
        sum(margin) FILTER (ago BETWEEN 7 AND 186) AS pre_7,
        sum(margin) FILTER (ago BETWEEN 14 AND 193) AS pre_14,
        sum(margin) FILTER (ago BETWEEN 30 AND 209) AS pre_30,
        sum(margin) FILTER (ago BETWEEN 60 AND 239) AS pre_60,
        sum(margin) FILTER (ago BETWEEN 180 AND 359) AS pre_180,
        sum(orders) FILTER (ago < 7) AS orders_7,
        sum(orders) FILTER (ago < 14) AS orders_14,
        sum(orders) FILTER (ago < 30) AS orders_30,
        sum(orders) FILTER (ago < 60) AS orders_60,
        sum(orders) FILTER (ago < 180) AS orders_180,
        sum(revenue) FILTER (ago < 7) AS revenue_7,
        sum(revenue) FILTER (ago < 14) AS revenue_14,
        sum(revenue) FILTER (ago < 30) AS revenue_30,
        sum(revenue) FILTER (ago < 60) AS revenue_60,
        sum(revenue) FILTER (ago < 180) AS revenue_180,
        sum(margin) FILTER (ago < 7) AS margin_7,
        sum(margin) FILTER (ago < 14) AS margin_14,
        sum(margin) FILTER (ago < 30) AS margin_30,
        sum(margin) FILTER (ago < 60) AS margin_60,
        sum(margin) FILTER (ago < 180) AS margin_180
    FROM aged
    GROUP BY customer_id
), unnested AS (
    SELECT
        joined_ago,
        unnest([7, 14, 30, 60, 180]) AS window_days,
        unnest([known_7, known_14, known_30, known_60, known_180]) AS known,
        unnest([pre_7, pre_14, pre_30, pre_60, pre_180]) AS pre,
        unnest([orders_7, orders_14, orders_30, orders_60, orders_180]) AS orders,
        unnest([revenue_7, revenue_14, revenue_30, revenue_60, revenue_180]) AS revenue,
        unnest([margin_7, margin_14, margin_30, margin_60, margin_180]) AS margin
    FROM people
), each_window AS (
    -- Whoever joined in the window was not known before it and adds nothing.
    SELECT
        window_days,
        known,
        CASE WHEN known THEN coalesce(pre, 0) ELSE 0 END::HUGEINT AS pre,
        CASE WHEN known THEN coalesce(orders, 0) ELSE 0 END::HUGEINT AS orders,
        CASE WHEN known THEN coalesce(revenue, 0) ELSE 0 END::HUGEINT AS revenue,
        CASE WHEN known THEN coalesce(margin, 0) ELSE 0 END::HUGEINT AS margin
    FROM unnested
    WHERE known OR joined_ago < window_days
)
SELECT
    window_days,
    count(*) FILTER (known) AS n,
    count(*) FILTER (known IS NOT TRUE) AS joined,
    0 AS missing,
    sum(pre) AS pre,
    sum(pre * pre) AS pre_squares,
    count(*) FILTER (orders > 0) AS converted,
    0 AS converted_missing,
    coalesce(sum(pre) FILTER (orders > 0), 0) AS converted_pre,
    sum(orders) AS orders,
    0 AS orders_missing,
    sum(orders * orders) AS orders_squares,
    sum(orders * pre) AS orders_pre,
    sum(revenue) AS revenue,
    0 AS revenue_missing,
    sum(revenue * revenue) AS revenue_squares,
    sum(revenue * pre) AS revenue_pre,
    sum(revenue * orders) AS revenue_orders,
    sum(margin) AS margin,
    0 AS margin_missing,
    sum(margin * margin) AS margin_squares,
    sum(margin * pre) AS margin_pre,
    sum(margin * orders) AS margin_orders
FROM each_window
GROUP BY window_days
