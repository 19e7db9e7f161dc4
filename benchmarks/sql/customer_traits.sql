-- What customer_segments says of each customer, and the checkout, campaign and age band they had.
WITH campaigns AS (
    SELECT customer_id, campaign_id AS campaign
    FROM touchpoints
    JOIN customer_segments USING (customer_id)
    WHERE campaign_id IS NOT NULL AND delivered IS NOT FALSE
        AND sent_at < first_at AND cohort_day - sent_date <= 30
    QUALIFY 1 = row_number() OVER (PARTITION BY customer_id ORDER BY sent_at DESC, campaign_id)
),
ages AS (
    SELECT customer_id, min(age_band) AS age_band
    FROM customers
    GROUP BY customer_id
),
said AS MATERIALIZED (
    SELECT customer_segments.* EXCLUDE (first_at) REPLACE (coalesce(cart_flow, 'unknown') AS cart_flow),
        -- Where no campaign is recorded, nobody is known to have come without one.
        coalesce(
            campaign, CASE WHEN EXISTS (FROM touchpoints WHERE campaign_id IS NOT NULL) THEN 'no campaign' ELSE 'unknown' END
        ) AS campaign,
        coalesce(age_band, 'unknown') AS age_band
    FROM customer_segments
    LEFT JOIN campaigns USING (customer_id)
    LEFT JOIN ages USING (customer_id)
),
counted AS (
    SELECT cart_flow, campaign, age_band, count(*) AS n,
        grouping(cart_flow, campaign, age_band) AS what
    FROM said
    GROUP BY GROUPING SETS (cart_flow, campaign, age_band)
),
-- A column without a name in a row is NULL there, which is IN nothing.
kept AS (
    SELECT *
    FROM counted
    QUALIFY count(*) OVER (PARTITION BY what) <= 10 OR 9 >= row_number() OVER (
        PARTITION BY what ORDER BY n DESC, coalesce(cart_flow, campaign, age_band)
    )
)
SELECT * REPLACE (
    CASE WHEN cart_flow IN (SELECT cart_flow FROM kept) THEN cart_flow ELSE 'other' END
        AS cart_flow,
    CASE WHEN campaign IN (SELECT campaign FROM kept) THEN campaign ELSE 'other' END AS campaign,
    CASE WHEN age_band IN (SELECT age_band FROM kept) THEN age_band ELSE 'other' END AS age_band
)
FROM said
