-- Revenue of the largest customers beside that of all, with and without companies.
WITH facts AS (
    SELECT customer_id, orders, revenue, NULL AS customer_class
    FROM customer_days
    UNION ALL
    SELECT customer_id, 0, 0, customer_class
    FROM customers
), each_customer AS (
    SELECT
        sum(revenue::DOUBLE) AS revenue,
        coalesce(bool_or(lower(customer_class) = 'b2b'), FALSE) AS is_company,
        count(customer_class) > 0 AS is_named
    FROM facts
    GROUP BY customer_id
    HAVING bool_or(orders > 0)
), levels AS (
    -- Customers of the same revenue are one row, so that few rows are sorted.
    SELECT
        revenue,
        count(*) AS n,
        count(*) FILTER (is_named) AS named,
        count(*) FILTER (NOT is_company) AS others,
        count(*) FILTER (is_named AND NOT is_company) AS named_others
    FROM each_customer
    GROUP BY revenue
), scopes AS (
    SELECT 'all customers' AS scope, revenue, n, named
    FROM levels
    UNION ALL
    SELECT 'without companies', revenue, others, named_others
    FROM levels
), ranked AS (
    SELECT
        scope,
        revenue,
        n,
        sum(n) OVER larger - n AS above
    FROM scopes
    WINDOW larger AS (PARTITION BY scope ORDER BY revenue DESC ROWS UNBOUNDED PRECEDING)
), tops AS (
    SELECT
        scope,
        sum(n) AS all_customers,
        sum(n * revenue) AS all_revenue,
        sum(named) AS named,
        unnest([10, 50, 100, 200, 500, 1000]) AS thousandths,
        (all_customers * thousandths + 999) // 1000 AS customers
    FROM scopes
    GROUP BY scope
)
SELECT
    scope, thousandths, customers, all_customers, all_revenue, named,
    sum(revenue * greatest(0, least(n, customers - above))) AS revenue
FROM tops JOIN ranked USING (scope)
GROUP BY ALL
