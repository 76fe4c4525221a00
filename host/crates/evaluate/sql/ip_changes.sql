-- "Users with Multiple IP Addresses". Spark's COLLECT_SET is a list of distinct values.
SELECT
    user_email,
    COUNT(DISTINCT ip_address) AS unique_ips,
    COUNT(*) AS total_actions,
    LIST(DISTINCT ip_address) AS ip_addresses
FROM audit_trail
GROUP BY user_email
HAVING COUNT(DISTINCT ip_address) > 2
ORDER BY unique_ips DESC
