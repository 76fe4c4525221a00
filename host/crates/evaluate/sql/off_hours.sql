-- "Off-Hours Data Access". The hour is that of the session's time zone, here UTC as in the pattern's
-- containers.
SELECT
    event_timestamp,
    user_email,
    action_type,
    resource_name,
    ip_address,
    HOUR(event_timestamp) AS access_hour
FROM audit_trail
WHERE action_type IN ('data_read', 'data_export', 'data_delete')
  AND (HOUR(event_timestamp) < 9 OR HOUR(event_timestamp) > 17)
ORDER BY event_timestamp DESC
