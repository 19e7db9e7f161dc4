-- Spends on repeat purchase days: days with spend, total, and how many customers have both.
SELECT spend_frequency AS frequency, total_spend, count(*) AS n
FROM customer_facts
WHERE spend_frequency > 0
GROUP BY ALL
