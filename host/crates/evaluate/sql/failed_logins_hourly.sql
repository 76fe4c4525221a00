-- "Failed login attempts > 5 from same IP": the pattern's hourly alert.
SELECT ip_address, COUNT(*) AS failures
FROM audit_trail
WHERE action_type = 'user_login'
  AND action_result = 'failure'
  AND event_timestamp >= getvariable('now') - INTERVAL 1 HOUR
GROUP BY ip_address
HAVING COUNT(*) > 5
