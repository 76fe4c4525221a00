-- "Export Volume by User", all there is for "Unusual export volumes". It has no threshold.
SELECT
    user_email,
    COUNT(*) AS total_exports,
    COUNT(DISTINCT CAST(event_timestamp AS DATE)) AS active_days
FROM audit_trail
WHERE action_type IN ('data_export', 'data_download')
GROUP BY user_email
ORDER BY total_exports DESC
