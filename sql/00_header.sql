/*
 * rfm_segments: the install script, in the order of the data flow.
 *
 * The Makefile joins the parts.  Each part may use what stands before it.
 *
 *	10_score		scores of one customer on one axis, and the three-digit code
 *	20_segment		rules, and the segment that a code falls into
 *	30_cutoffs		cut points from percentiles
 *	40_profile		order lines to customers: the aggregates
 *	45_visits		sessions of customers after their first order
 *	50_rates		intervals, tests and rates over time
 *	60_model		a model: its settings, creation, configuration and removal
 *	65_contract		the user's relations, checked; the only part that reads them
 *	66_tracking		which customers changed since the last refresh
 *	70_analyses		the views of a model
 *	80_campaigns	actions, campaigns and their return
 *	85_refresh		how a model is brought up to date
 *	86_check		what is wrong with the data or the rules of a model
 *	88_schedule		a refresh at fixed times
 *	90_grants		who may use what
 */

\echo Use "CREATE EXTENSION rfm_segments" to load this file. \quit
