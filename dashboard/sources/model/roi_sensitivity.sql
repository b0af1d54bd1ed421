-- One row per campaign, response rate and conversion rate.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT c.campaign_order, c.campaign, s.*
           FROM campaigns AS c
           CROSS JOIN LATERAL roi_sensitivity(c.campaign) AS s) AS v ON true
