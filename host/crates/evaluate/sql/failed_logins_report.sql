-- "Suspicious Failed Login Patterns".
SELECT
    ip_address,
    COUNT(*) AS failed_attempts,
    COUNT(DISTINCT user_email) AS unique_users,
    MIN(event_timestamp) AS first_attempt,
    MAX(event_timestamp) AS last_attempt
FROM audit_trail
WHERE action_type = 'user_login' AND action_result = 'failure'
GROUP BY ip_address
HAVING COUNT(*) >= 2
ORDER BY failed_attempts DESC
