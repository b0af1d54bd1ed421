-- name: Segments
-- description: Customers, revenue and averages of every segment; days since the last purchase.
-- display: table
-- percent: Share of customers, Share of revenue
-- size: 24x8
SELECT segment AS "Segment", customers AS "Customers", round(customer_share::numeric, 4) AS "Share of customers",
       round(revenue) AS "Revenue", round(revenue_share::numeric, 4) AS "Share of revenue",
       round(average_revenue, 2) AS "Revenue per customer", round(average_orders, 2) AS "Orders per customer",
       round(average_recency_days) AS "Days since last purchase"
FROM :"model".segments
ORDER BY segment_rank;
