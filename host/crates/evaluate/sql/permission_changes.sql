-- "Permission Changes Audit", all there is for "Permission changes by non-admins".
SELECT
    event_timestamp,
    user_email AS changed_by,
    action_type,
    resource_type,
    resource_name,
    details,
    action_result
FROM audit_trail
WHERE action_type IN ('permission_grant', 'permission_revoke')
ORDER BY event_timestamp DESC
