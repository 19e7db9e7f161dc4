-- Pairs of products, and of categories, by how many different ones their buyers bought.
WITH sold AS NOT MATERIALIZED (
    SELECT customer_id, product_id, category, revenue, margin
    FROM orders
    WHERE NOT is_refund AND line_kind IS NULL AND revenue > 0
        AND order_date > getvariable('as_of') - 365
),
-- The largest items of each level, numbered in the order of their names.
items AS (
    SELECT level, item, row_number() OVER (PARTITION BY level ORDER BY item) - 1 AS place
    FROM (
        SELECT
            if(grouping(category) = 1, 'product', 'category') AS level,
            coalesce(product_id, category) AS item, count(DISTINCT customer_id) AS customers
        FROM sold
        GROUP BY GROUPING SETS (product_id, category)
        HAVING item IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY level ORDER BY customers DESC, item) <= 25
    )
),
placed AS NOT MATERIALIZED (
    SELECT customer_id, p.place AS p, c.place AS c, revenue, margin
    FROM sold
    LEFT JOIN items AS p ON p.level = 'product' AND p.item = product_id
    LEFT JOIN items AS c ON c.level = 'category' AND c.item = category
    WHERE p.place IS NOT NULL OR c.place IS NOT NULL
),
-- What a customer bought as bits: customers with the very same items are alike from here on.
masks AS (
    SELECT customer_id, bit_or(1 << p) AS ps, bit_or(1 << c) AS cs
    FROM placed
    GROUP BY customer_id
),
sizes AS (
    SELECT
        if(grouping(cs) = 1, 'product', 'category') AS level, coalesce(ps, cs) AS mask,
        count(*) AS customers
    FROM masks
    GROUP BY GROUPING SETS (ps, cs)
),
sums AS (
    SELECT
        if(grouping(cs) = 1, 'product', 'category') AS level, coalesce(ps, cs) AS mask,
        coalesce(p, c) AS place, sum(revenue::DOUBLE) AS revenue,
        coalesce(sum(margin::DOUBLE), 0) AS margin
    FROM placed JOIN masks USING (customer_id)
    GROUP BY GROUPING SETS ((ps, p), (cs, c))
    HAVING place IS NOT NULL
),
-- An item with itself stands for the customers of one item, with none for all of that breadth.
pairs AS (
    SELECT
        level, least(bit_count(mask), 8) AS breadth,
        if(partner < 0, NULL, least(place, partner)) AS one,
        if(partner < 0, NULL, greatest(place, partner)) AS two,
        sum(customers) FILTER (place <= partner OR partner < 0 AND mask & ((1 << place) - 1) = 0)
            AS customers,
        sum(revenue) AS revenue, sum(margin) AS margin
    FROM (
        SELECT *, unnest([-1] || [i FOR i IN range(25) IF (mask >> i) & 1 = 1]) AS partner
        FROM sums JOIN sizes USING (level, mask)
    )
    GROUP BY ALL
)
SELECT
    breadth, first.item, if(one = two, NULL, second.item) AS other, customers, revenue, margin,
    pairs.level
FROM pairs
LEFT JOIN items AS first ON first.level = pairs.level AND first.place = one
LEFT JOIN items AS second ON second.level = pairs.level AND second.place = two
