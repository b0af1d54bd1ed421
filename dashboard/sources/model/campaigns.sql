-- One row per campaign: the segment that it addresses as a whole, NULL where it addresses others.
SELECT v.*
FROM (SELECT) AS one
LEFT JOIN (SELECT campaign_order, campaign, CASE audience_of WHEN 'segment' THEN segment END AS segment
           FROM campaigns) AS v ON true
