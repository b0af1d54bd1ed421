SELECT rfm.drop_model(model) FROM rfm.models ORDER BY model;
