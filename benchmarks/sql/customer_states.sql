-- Purchase histories, and how many customers have each.
SELECT frequency, first_day, last_day, channel AS segment, count(*) AS n
FROM customer_facts
WHERE first_day IS NOT NULL
GROUP BY ALL
