-- One row of key figures; moments as text in the time zone of the model.
SELECT to_char(o.as_of AT TIME ZONE coalesce(s.time_zone, 'UTC'), 'YYYY-MM-DD HH24:MI') AS as_of,
       to_char(o.refreshed_at AT TIME ZONE coalesce(s.time_zone, 'UTC'), 'YYYY-MM-DD HH24:MI') AS refreshed_at,
       coalesce(s.time_zone, 'UTC') AS time_zone, current_schema() AS model,
       o.registered, o.customers, o.prospects, o.orders, o.revenue, o.average_revenue, o.average_orders, o.repurchase_rate,
       o.vip_share, o.churn_risk_share, o.churn_risk_revenue_share, o.top20_revenue_share, o.margin_rate
FROM settings AS s
LEFT JOIN overview AS o ON true
