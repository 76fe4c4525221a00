-- "Data Access Summary by User", all there is for "Unusual data access volume". It has no threshold.
SELECT
    user_email,
    COUNT(*) AS total_actions,
    SUM(CASE WHEN action_type = 'data_read' THEN 1 ELSE 0 END) AS reads,
    SUM(CASE WHEN action_type = 'data_write' THEN 1 ELSE 0 END) AS writes,
    SUM(CASE WHEN action_type = 'data_delete' THEN 1 ELSE 0 END) AS deletes,
    SUM(CASE WHEN action_type = 'data_export' THEN 1 ELSE 0 END) AS exports
FROM audit_trail
WHERE action_type IN ('data_read', 'data_write', 'data_delete', 'data_export')
GROUP BY user_email
ORDER BY total_actions DESC
