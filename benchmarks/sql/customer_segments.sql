-- What each customer's first order was, and what is known of the customer; rare values are 'other'.
WITH first_lines AS NOT MATERIALIZED (
    SELECT facts.*, product_id, category, country, revenue, line_kind, cart_flow,
        ordered_at,
        coupon IS NOT NULL OR discount > 0 AS cut,
        coupon IS NOT NULL OR discount IS NOT NULL AS told
    FROM orders
    JOIN (SELECT customer_id, cohort_day, channel FROM customer_facts) AS facts
        ON facts.customer_id = orders.customer_id AND cohort_day = order_date
    WHERE NOT is_refund
),
products AS (
    SELECT customer_id, product_id
    FROM first_lines
    WHERE line_kind IS NULL AND product_id IS NOT NULL
    GROUP BY customer_id, product_id
    QUALIFY 1 = row_number() OVER (
        PARTITION BY customer_id ORDER BY sum(revenue::DOUBLE) DESC, product_id
    )
),
categories AS (
    SELECT customer_id, category
    FROM first_lines
    WHERE line_kind IS NULL AND category IS NOT NULL
    GROUP BY customer_id, category
    QUALIFY 1 = row_number() OVER (
        PARTITION BY customer_id ORDER BY sum(revenue::DOUBLE) DESC, category
    )
),
firsts AS (
    SELECT customer_id, any_value(cohort_day) AS cohort_day, any_value(channel) AS channel,
        min(country) AS ordered_from, min(cart_flow) AS cart_flow,
        min(ordered_at) AS first_at, bool_or(cut) AS cut, bool_or(told) AS told
    FROM first_lines
    GROUP BY customer_id
),
homes AS (
    SELECT customer_id, min(country) AS country, min(lower(customer_class)) AS customer_class,
        bool_or(loyalty_member) AS member
    FROM customers
    GROUP BY customer_id
),
said AS MATERIALIZED (
    SELECT customer_id, cohort_day, cut, told, member, cart_flow, first_at,
        coalesce(channel, 'unknown') AS channel,
        coalesce(product_id, 'unknown') AS first_product,
        coalesce(category, 'unknown') AS first_category,
        coalesce(country, ordered_from, 'unknown') AS country,
        coalesce(customer_class, 'unknown') AS customer_class
    FROM firsts
    LEFT JOIN products USING (customer_id)
    LEFT JOIN categories USING (customer_id)
    LEFT JOIN homes USING (customer_id)
),
counted AS (
    SELECT channel, first_product, first_category, country, customer_class, count(*) AS n,
        grouping(channel, first_product, first_category, country, customer_class) AS what
    FROM said
    GROUP BY GROUPING SETS (channel, first_product, first_category, country, customer_class)
),
-- A column without a name in a row is NULL there, which is IN nothing.
kept AS (
    SELECT *
    FROM counted
    QUALIFY count(*) OVER (PARTITION BY what) <= 10 OR 9 >= row_number() OVER (
        PARTITION BY what
        ORDER BY n DESC,
            coalesce(channel, first_product, first_category, country, customer_class)
    )
)
SELECT customer_id, cohort_day, first_at, cart_flow,
    CASE WHEN channel IN (SELECT channel FROM kept) THEN channel ELSE 'other' END AS channel,
    CASE WHEN first_product IN (SELECT first_product FROM kept)
        THEN first_product ELSE 'other' END AS first_product,
    CASE WHEN first_category IN (SELECT first_category FROM kept)
        THEN first_category ELSE 'other' END AS first_category,
    CASE WHEN cut THEN 'with a discount' WHEN (SELECT bool_or(told) FROM said) THEN 'full price'
        ELSE 'unknown' END AS first_discount,
    CASE WHEN country IN (SELECT country FROM kept) THEN country ELSE 'other' END AS country,
    CASE WHEN customer_class IN (SELECT customer_class FROM kept)
        THEN customer_class ELSE 'other' END AS customer_class,
    CASE WHEN member THEN 'member' WHEN NOT member THEN 'not a member' ELSE 'unknown' END
        AS loyalty
FROM said
