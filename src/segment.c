/*
 * segment.c
 *	  Segments: which part of the score cube belongs to which kind of customer.
 *
 * Segment rules are boxes in the cube of recency, frequency and monetary
 * scores; the first rule that holds a cell names its segment.  Compiled, they
 * are a value of type rfm.rules: the segment of every cell, then the
 * segments.  It is small and of plain storage, so that looking up a customer
 * is two array accesses, and the names in it are texts already: a one-byte
 * header needs no alignment, so segment_of returns a pointer into the value.
 */
#include "rfm.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/typcache.h"

#define MAX_SEGMENTS	99
#define MAX_CELLS		(RFM_MAX_LEVELS * RFM_MAX_LEVELS * RFM_MAX_LEVELS)
#define MAX_RULES_SIZE	7000	/* a value stays well within a page */
#define RULES_VERSION	1		/* of the binary format */
#define RULE_COLUMNS	(3 + 2 * RFM_AXES)
#define OTHERS			"Others"

/* What a segment is to the analyses, whatever its name. */
typedef enum Stage
{
	STAGE_VIP,
	STAGE_LOYAL,
	STAGE_PROMISING,
	STAGE_ATTENTION,
	STAGE_RISK,
	STAGE_OTHER
} Stage;

static const char *const stage_names[] = {
	"vip", "loyal", "promising", "attention", "risk", "other"
};

static const char *const axis_names[RFM_AXES] = {"recency", "frequency", "monetary"};

/* One row of segment rules. */
typedef struct Rule
{
	int			order;
	const char *segment;
	Stage		stage;
	uint8		min[RFM_AXES];
	uint8		max[RFM_AXES];
} Rule;

/* The rule sets that come with the extension, for five levels. */
static const Rule lifecycle[] = {
	{1, "VIP Champions", STAGE_VIP, {4, 4, 4}, {5, 5, 5}},
	{2, "Loyal High Value", STAGE_LOYAL, {3, 4, 3}, {5, 5, 5}},
	{3, "Loyal Low Value", STAGE_LOYAL, {3, 4, 1}, {5, 5, 2}},
	{4, "Promising High Value", STAGE_PROMISING, {4, 3, 3}, {5, 3, 5}},
	{5, "Promising Low Value", STAGE_PROMISING, {4, 3, 1}, {5, 3, 2}},
	{6, "Need Attention", STAGE_ATTENTION, {1, 4, 3}, {2, 5, 5}},
	{7, "At Risk", STAGE_RISK, {3, 3, 1}, {3, 3, 5}},
	{8, "Hibernating", STAGE_RISK, {1, 1, 1}, {2, 3, 5}}
};

static const Rule classic[] = {
	{1, "Champions", STAGE_VIP, {5, 5, 5}, {5, 5, 5}},
	{2, "Potential Loyalist", STAGE_LOYAL, {3, 3, 2}, {5, 5, 5}},
	{3, "Loyal Customers", STAGE_LOYAL, {2, 2, 2}, {4, 4, 4}},
	{4, "Promising", STAGE_PROMISING, {3, 1, 3}, {4, 3, 5}},
	{5, "New Customers", STAGE_PROMISING, {4, 1, 1}, {5, 3, 5}},
	{6, "Can't Lose Them", STAGE_ATTENTION, {1, 3, 4}, {2, 4, 5}},
	{7, "At Risk", STAGE_RISK, {1, 2, 4}, {2, 5, 5}},
	{8, "Need Attention", STAGE_ATTENTION, {1, 3, 3}, {3, 5, 5}},
	{9, "About To Sleep", STAGE_RISK, {2, 1, 1}, {3, 3, 4}},
	{10, "Lost", STAGE_RISK, {1, 1, 1}, {1, 5, 5}}
};

static const struct
{
	const char *name;
	const Rule *rules;
	int			n;
}			rule_sets[] = {
	{"lifecycle", lifecycle, lengthof(lifecycle)},
	{"classic", classic, lengthof(classic)}
};

#define DEFAULT_LEVELS	5

/*
 * The value of type rfm.rules.  After the offsets stand the cells, recency
 * slowest: the rank of each one's segment, from 1.  Then the segments.
 */
typedef struct Rules
{
	int32		vl_len_;		/* varlena header */
	uint8		levels[RFM_AXES];
	uint8		nsegments;
	uint16		segment_at[FLEXIBLE_ARRAY_MEMBER];
} Rules;

typedef struct RulesSegment
{
	uint8		stage;
	uint8		m_min;			/* smallest of its rules, 0 without a rule */
	uint8		m_max;			/* greatest of its rules */
	char		name[FLEXIBLE_ARRAY_MEMBER];	/* text with a one-byte header */
} RulesSegment;

#define PG_GETARG_RULES(n)	((const Rules *) PG_DETOAST_DATUM(PG_GETARG_DATUM(n)))

/* Rules while they are put together, from whatever source. */
typedef struct Segment
{
	const char *name;
	Stage		stage;
	uint8		m_min;
	uint8		m_max;
} Segment;

typedef struct Draft
{
	uint8		levels[RFM_AXES];
	int			nsegments;
	Segment		segments[MAX_SEGMENTS];
	uint8		cells[MAX_CELLS];
} Draft;

/* ---------- reading a value ---------- */

static inline int
cell_count(const uint8 *levels)
{
	return levels[0] * levels[1] * levels[2];
}

/* The position of a cell; errors when a score exceeds its levels. */
static inline int
cell_index(const uint8 *levels, int r, int f, int m)
{
	rfm_check_score(r, levels[0], axis_names[0]);
	rfm_check_score(f, levels[1], axis_names[1]);
	rfm_check_score(m, levels[2], axis_names[2]);
	return ((r - 1) * levels[1] + f - 1) * levels[2] + m - 1;
}

/* The three digits of an rfm_score. */
static inline void
split_score(int rfm_score, int *r, int *f, int *m)
{
	if (rfm_score < 111 || rfm_score > 999)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("rfm_score %d is not a code of three scores", rfm_score),
				 errhint("Write the recency, frequency and monetary score as three digits, for example 543.")));
	*r = rfm_score / 100;
	*f = rfm_score / 10 % 10;
	*m = rfm_score % 10;
}

static inline const uint8 *
rules_cells(const Rules *rules)
{
	return (const uint8 *) &rules->segment_at[rules->nsegments];
}

/* The segment of a rank. */
static inline const RulesSegment *
rules_segment(const Rules *rules, int rank)
{
	return (const RulesSegment *) ((const char *) rules + rules->segment_at[rank - 1]);
}

/* The rank of a cell's segment. */
static inline int
rules_rank(const Rules *rules, int r, int f, int m)
{
	return rules_cells(rules)[cell_index(rules->levels, r, f, m)];
}

/* The rank of an rfm_score's segment. */
static inline int
rules_rank_of(const Rules *rules, int rfm_score)
{
	int			r,
				f,
				m;

	split_score(rfm_score, &r, &f, &m);
	return rules_rank(rules, r, f, m);
}

/* ---------- making a value ---------- */

/* The position of a segment in the draft, or -1. */
static int
draft_find(const Draft *draft, const char *name)
{
	for (int i = 0; i < draft->nsegments; i++)
		if (strcmp(draft->segments[i].name, name) == 0)
			return i;
	return -1;
}

/* Adds a segment of a new name and returns its rank. */
static int
draft_add(Draft *draft, const char *name, Stage stage, int m_min, int m_max)
{
	if (draft->nsegments == MAX_SEGMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("there are more than %d segments", MAX_SEGMENTS),
				 errhint("Give several rules one segment name; cells no rule covers take a segment too, \"%s\".", OTHERS)));
	draft->segments[draft->nsegments++] = (Segment) {name, stage, m_min, m_max};
	return draft->nsegments;
}

/* Lays a draft out as a value. */
static Rules *
draft_finish(const Draft *draft)
{
	int			cells = cell_count(draft->levels);
	Size		size = offsetof(Rules, segment_at) + draft->nsegments * sizeof(uint16) + cells;
	Rules	   *rules;
	char	   *next;

	for (int i = 0; i < draft->nsegments; i++)
		size += offsetof(RulesSegment, name) + VARHDRSZ_SHORT + strlen(draft->segments[i].name);
	if (size > MAX_RULES_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("segment rules take %zu bytes, more than %d", size, MAX_RULES_SIZE),
				 errhint("Use fewer segments or shorter names.")));

	rules = palloc0(size);
	SET_VARSIZE(rules, size);
	memcpy(rules->levels, draft->levels, sizeof(rules->levels));
	rules->nsegments = draft->nsegments;
	next = (char *) rules_cells(rules);
	memcpy(next, draft->cells, cells);
	next += cells;
	for (int i = 0; i < draft->nsegments; i++)
	{
		const Segment *segment = &draft->segments[i];
		RulesSegment *target = (RulesSegment *) next;
		Size		length = strlen(segment->name);

		rules->segment_at[i] = next - (char *) rules;
		target->stage = segment->stage;
		target->m_min = segment->m_min;
		target->m_max = segment->m_max;
		SET_VARSIZE_SHORT(target->name, VARHDRSZ_SHORT + length);
		memcpy(VARDATA_SHORT(target->name), segment->name, length);
		next = target->name + VARHDRSZ_SHORT + length;
	}
	return rules;
}

/* Gives a rule the cells of its box that no rule before it took. */
static void
draft_apply(Draft *draft, const Rule *rule)
{
	int			i = draft_find(draft, rule->segment);
	int			rank;

	if (i < 0)
		rank = draft_add(draft, rule->segment, rule->stage, rule->min[2], rule->max[2]);
	else
	{
		Segment    *segment = &draft->segments[i];

		if (segment->stage != rule->stage)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("segment \"%s\" has two stages, %s and %s",
							rule->segment, stage_names[segment->stage], stage_names[rule->stage]),
					 errhint("Give all rules of a segment the same stage.")));
		segment->m_min = Min(segment->m_min, rule->min[2]);
		segment->m_max = Max(segment->m_max, rule->max[2]);
		rank = i + 1;
	}

	for (int r = rule->min[0]; r <= Min(rule->max[0], draft->levels[0]); r++)
		for (int f = rule->min[1]; f <= Min(rule->max[1], draft->levels[1]); f++)
			for (int m = rule->min[2]; m <= Min(rule->max[2], draft->levels[2]); m++)
			{
				uint8	   *cell = &draft->cells[cell_index(draft->levels, r, f, m)];

				if (*cell == 0)
					*cell = rank;
			}
}

/* The value that rules in their order mean. */
static Rules *
compile(const Rule *rules, int n, const uint8 *levels)
{
	Draft	   *draft = palloc0(sizeof(Draft));
	Rules	   *value;
	int			others;

	memcpy(draft->levels, levels, sizeof(draft->levels));
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (i > 0 && rules[i].order == rules[i - 1].order)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("two segment rules have rule_order %d", rules[i].order),
					 errhint("Number the rules in the order in which they are tried.")));
		draft_apply(draft, &rules[i]);
	}

	others = draft_find(draft, OTHERS) + 1;
	if (others == 0)
		others = draft_add(draft, OTHERS, STAGE_OTHER, 0, 0);
	for (int i = 0; i < cell_count(levels); i++)
		if (draft->cells[i] == 0)
			draft->cells[i] = others;
	value = draft_finish(draft);
	pfree(draft);
	return value;
}

/* ---------- rules from rows ---------- */

/* The stage of a name, or -1. */
static int
stage_find(const char *name)
{
	for (int i = 0; i < (int) lengthof(stage_names); i++)
		if (strcmp(stage_names[i], name) == 0)
			return i;
	return -1;
}

/* Whether a segment may have this name. */
static bool
segment_name_valid(const char *name)
{
	return name[0] != '\0' && strlen(name) < NAMEDATALEN;
}

/* Reads and checks one value of rfm.segment_rule. */
static void
rule_from_row(Rule *rule, HeapTupleHeader row, TupleDesc desc)
{
	HeapTupleData tuple;
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	const char *stage;
	int			found;

	tuple.t_len = HeapTupleHeaderGetDatumLength(row);
	ItemPointerSetInvalid(&tuple.t_self);
	tuple.t_tableOid = InvalidOid;
	tuple.t_data = row;
	heap_deform_tuple(&tuple, desc, values, nulls);

	for (int i = 0; i < RULE_COLUMNS; i++)
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a segment rule has no %s", NameStr(TupleDescAttr(desc, i)->attname)),
					 errhint("Every column of a segment rule needs a value.")));

	rule->order = DatumGetInt16(values[0]);
	rule->segment = TextDatumGetCString(values[1]);
	stage = TextDatumGetCString(values[2]);
	if (!segment_name_valid(rule->segment))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("segment rule %d has an unusable segment name: \"%s\"", rule->order, rule->segment),
				 errhint("A segment name has 1 to %d bytes.", NAMEDATALEN - 1)));
	found = stage_find(stage);
	if (found < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("segment \"%s\" has an unknown stage: \"%s\"", rule->segment, stage),
				 errhint("Stages are vip, loyal, promising, attention, risk and other.")));
	rule->stage = found;

	for (int axis = 0; axis < RFM_AXES; axis++)
	{
		int			min = DatumGetInt16(values[3 + 2 * axis]);
		int			max = DatumGetInt16(values[4 + 2 * axis]);

		if (min < 1 || max > RFM_MAX_LEVELS || min > max)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("segment \"%s\" has the %s range %d to %d in rule %d",
							rule->segment, axis_names[axis], min, max, rule->order),
					 errhint("Scores of segment \"%s\" must run from a smaller to a greater one, within 1 to %d.",
							 rule->segment, RFM_MAX_LEVELS)));
		rule->min[axis] = min;
		rule->max[axis] = max;
	}
}

/* Compares rules by rule_order. */
static int
rule_compare(const void *a, const void *b)
{
	return ((const Rule *) a)->order - ((const Rule *) b)->order;
}

/* Reads an array of rfm.segment_rule, sorted.  Returns the number of rules. */
static int
rules_from_array(ArrayType *array, Rule **rules)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(ARR_ELEMTYPE(array), -1);
	Datum	   *rows;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, ARR_ELEMTYPE(array), -1, false, TYPALIGN_DOUBLE, &rows, &nulls, &n);
	*rules = palloc(Max(n, 1) * sizeof(Rule));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a segment rule is NULL"),
					 errhint("Leave out the rule, or give every column a value.")));
		rule_from_row(&(*rules)[i], DatumGetHeapTupleHeader(rows[i]), desc);
	}
	ReleaseTupleDesc(desc);
	qsort(*rules, n, sizeof(Rule), rule_compare);
	return n;
}

PG_FUNCTION_INFO_V1(rfm_compile_rules);
PG_FUNCTION_INFO_V1(rfm_default_rules);

/* compile_rules(rules, r_levels, f_levels, m_levels); NULL rules are none */
Datum
rfm_compile_rules(PG_FUNCTION_ARGS)
{
	Rule	   *rules = NULL;
	int			n = 0;
	uint8		levels[RFM_AXES];

	for (int axis = 0; axis < RFM_AXES; axis++)
	{
		int			value = PG_ARGISNULL(1 + axis) ? 0 : PG_GETARG_INT32(1 + axis);

		if (value < 2 || value > RFM_MAX_LEVELS)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("the number of %s levels must lie between 2 and %d", axis_names[axis], RFM_MAX_LEVELS),
					 errhint("An axis has one level more than cut points.")));
		levels[axis] = value;
	}
	if (!PG_ARGISNULL(0))
		n = rules_from_array(PG_GETARG_ARRAYTYPE_P(0), &rules);
	PG_RETURN_POINTER(compile(rules, n, levels));
}

/* default_rules(name): the rows of a rule set that comes with the extension */
Datum
rfm_default_rules(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			set = 0;

	while (strcmp(rule_sets[set].name, name) != 0)
		if (++set == lengthof(rule_sets))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unknown rules: \"%s\"", name),
					 errhint("Rule sets are 'lifecycle' and 'classic'.")));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < rule_sets[set].n; i++)
	{
		const Rule *rule = &rule_sets[set].rules[i];
		Datum		values[RULE_COLUMNS];
		bool		nulls[RULE_COLUMNS] = {false};

		values[0] = Int16GetDatum(rule->order);
		values[1] = CStringGetTextDatum(rule->segment);
		values[2] = CStringGetTextDatum(stage_names[rule->stage]);
		for (int axis = 0; axis < RFM_AXES; axis++)
		{
			values[3 + 2 * axis] = Int16GetDatum(rule->min[axis]);
			values[4 + 2 * axis] = Int16GetDatum(rule->max[axis]);
		}
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* ---------- text and binary form ---------- */

/* Sets the levels that were read. */
static void
draft_set_levels(Draft *draft, const int *levels)
{
	for (int axis = 0; axis < RFM_AXES; axis++)
	{
		if (levels[axis] < 2 || levels[axis] > RFM_MAX_LEVELS)
			rfm_corrupt("rules");
		draft->levels[axis] = levels[axis];
	}
}

/*
 * Adds a segment that was read: such as compile could have made.  Only Others
 * may have no rule.
 */
static void
draft_read_segment(Draft *draft, const char *name, int stage, int m_min, int m_max)
{
	bool		ranged = m_min >= 1 && m_min <= m_max && m_max <= RFM_MAX_LEVELS;
	bool		ruleless = m_min == 0 && m_max == 0 && strcmp(name, OTHERS) == 0;

	if (!segment_name_valid(name) || draft_find(draft, name) >= 0 ||
		stage < 0 || stage >= (int) lengthof(stage_names) ||
		!(ranged || ruleless) || draft->nsegments == MAX_SEGMENTS)
		rfm_corrupt("rules");
	draft_add(draft, name, stage, m_min, m_max);
}

/* Sets the segment of a cell that was read. */
static void
draft_read_cell(Draft *draft, int cell, int rank)
{
	if (rank < 1 || rank > draft->nsegments)
		rfm_corrupt("rules");
	draft->cells[cell] = rank;
}

/* Skips white space, then the token if it stands there. */
static bool
take(const char **at, const char *token)
{
	Size		length = strlen(token);

	while (scanner_isspace(**at))
		(*at)++;
	if (strncmp(*at, token, length) != 0)
		return false;
	*at += length;
	return true;
}

/* Skips a token that must stand there. */
static void
expect(const char **at, const char *token)
{
	if (!take(at, token))
		rfm_corrupt("rules");
}

/* Whether a number comes next. */
static bool
number_follows(const char **at)
{
	take(at, "");
	return **at >= '0' && **at <= '9';
}

/* Reads a number of up to three digits. */
static int
expect_number(const char **at)
{
	int			number = 0;

	if (!number_follows(at))
		rfm_corrupt("rules");
	for (int digits = 0; **at >= '0' && **at <= '9'; digits++)
	{
		if (digits == 3)
			rfm_corrupt("rules");
		number = number * 10 + *(*at)++ - '0';
	}
	return number;
}

/* Reads a name in double quotes, within which a quote is doubled. */
static char *
expect_name(const char **at)
{
	StringInfoData name;

	initStringInfo(&name);
	expect(at, "\"");
	while (**at != '"' || *++(*at) == '"')
	{
		if (**at == '\0' || name.len >= NAMEDATALEN)
			rfm_corrupt("rules");
		appendStringInfoChar(&name, *(*at)++);
	}
	return name.data;
}

/* Reads the name of a stage.  None of them begins another. */
static int
expect_stage(const char **at)
{
	int			stage = 0;

	while (!take(at, stage_names[stage]))
		if (++stage == lengthof(stage_names))
			rfm_corrupt("rules");
	return stage;
}

PG_FUNCTION_INFO_V1(rfm_rules_in);
PG_FUNCTION_INFO_V1(rfm_rules_out);
PG_FUNCTION_INFO_V1(rfm_rules_recv);
PG_FUNCTION_INFO_V1(rfm_rules_send);

/*
 * The text form: the levels; the segments by rank, each with its stage and
 * the range of its monetary scores; and the rank of every cell's segment, run
 * by run, recency slowest:
 *
 *	levels 5 5 5 segments "VIP Champions" vip 4-5, ..., "Others" other cells 45*8 ...
 */
Datum
rfm_rules_in(PG_FUNCTION_ARGS)
{
	const char *at = PG_GETARG_CSTRING(0);
	Draft	   *draft = palloc0(sizeof(Draft));
	int			levels[RFM_AXES];
	int			cells = 0;

	expect(&at, "levels");
	for (int axis = 0; axis < RFM_AXES; axis++)
		levels[axis] = expect_number(&at);
	draft_set_levels(draft, levels);

	expect(&at, "segments");
	do
	{
		char	   *name = expect_name(&at);
		int			stage = expect_stage(&at);
		int			m_min = 0;
		int			m_max = 0;

		if (number_follows(&at))
		{
			m_min = expect_number(&at);
			expect(&at, "-");
			m_max = expect_number(&at);
		}
		draft_read_segment(draft, name, stage, m_min, m_max);
	} while (take(&at, ","));

	expect(&at, "cells");
	while (number_follows(&at))
	{
		int			rank = expect_number(&at);
		int			run = 1;

		if (take(&at, "*"))
		{
			run = rank;
			rank = expect_number(&at);
		}
		if (run > cell_count(draft->levels) - cells)
			rfm_corrupt("rules");
		for (; run > 0; run--)
			draft_read_cell(draft, cells++, rank);
	}
	if (*at != '\0' || cells != cell_count(draft->levels))
		rfm_corrupt("rules");
	PG_RETURN_POINTER(draft_finish(draft));
}

/* The text form of a value. */
Datum
rfm_rules_out(PG_FUNCTION_ARGS)
{
	const Rules *rules = PG_GETARG_RULES(0);
	const uint8 *cells = rules_cells(rules);
	int			ncells = cell_count(rules->levels);
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfo(&out, "levels %d %d %d segments",
					 rules->levels[0], rules->levels[1], rules->levels[2]);
	for (int rank = 1; rank <= rules->nsegments; rank++)
	{
		const RulesSegment *segment = rules_segment(rules, rank);

		appendStringInfoString(&out, rank == 1 ? " \"" : ", \"");
		for (const char *c = text_to_cstring((const text *) segment->name); *c != '\0'; c++)
		{
			if (*c == '"')
				appendStringInfoChar(&out, '"');
			appendStringInfoChar(&out, *c);
		}
		appendStringInfo(&out, "\" %s", stage_names[segment->stage]);
		if (segment->m_min > 0)
			appendStringInfo(&out, " %d-%d", segment->m_min, segment->m_max);
	}
	appendStringInfoString(&out, " cells");
	for (int i = 0, run; i < ncells; i += run)
	{
		run = 1;
		while (i + run < ncells && cells[i + run] == cells[i])
			run++;
		if (run > 1)
			appendStringInfo(&out, " %d*%d", run, cells[i]);
		else
			appendStringInfo(&out, " %d", cells[i]);
	}
	PG_RETURN_CSTRING(out.data);
}

/* The binary form: as the text form, in bytes, names as terminated strings. */
Datum
rfm_rules_recv(PG_FUNCTION_ARGS)
{
	StringInfo	in = (StringInfo) PG_GETARG_POINTER(0);
	Draft	   *draft = palloc0(sizeof(Draft));
	int			levels[RFM_AXES];
	int			nsegments;

	if (pq_getmsgbyte(in) != RULES_VERSION)
		rfm_corrupt("rules");
	for (int axis = 0; axis < RFM_AXES; axis++)
		levels[axis] = pq_getmsgbyte(in);
	draft_set_levels(draft, levels);

	nsegments = pq_getmsgbyte(in);
	for (int i = 0; i < nsegments; i++)
	{
		int			stage = pq_getmsgbyte(in);
		int			m_min = pq_getmsgbyte(in);
		int			m_max = pq_getmsgbyte(in);

		draft_read_segment(draft, pq_getmsgstring(in), stage, m_min, m_max);
	}
	for (int i = 0; i < cell_count(draft->levels); i++)
		draft_read_cell(draft, i, pq_getmsgbyte(in));
	PG_RETURN_POINTER(draft_finish(draft));
}

/* The binary form of a value. */
Datum
rfm_rules_send(PG_FUNCTION_ARGS)
{
	const Rules *rules = PG_GETARG_RULES(0);
	StringInfoData out;

	pq_begintypsend(&out);
	pq_sendbyte(&out, RULES_VERSION);
	pq_sendbytes(&out, (const char *) rules->levels, sizeof(rules->levels));
	pq_sendbyte(&out, rules->nsegments);
	for (int rank = 1; rank <= rules->nsegments; rank++)
	{
		const RulesSegment *segment = rules_segment(rules, rank);

		pq_sendbyte(&out, segment->stage);
		pq_sendbyte(&out, segment->m_min);
		pq_sendbyte(&out, segment->m_max);
		pq_sendstring(&out, text_to_cstring((const text *) segment->name));
	}
	pq_sendbytes(&out, (const char *) rules_cells(rules), cell_count(rules->levels));
	PG_RETURN_BYTEA_P(pq_endtypsend(&out));
}

/* ---------- what a customer's segment is ---------- */

/* The lifecycle rules, compiled once per call site. */
static const Rules *
default_rules(FunctionCallInfo fcinfo)
{
	static const uint8 levels[RFM_AXES] = {DEFAULT_LEVELS, DEFAULT_LEVELS, DEFAULT_LEVELS};

	if (unlikely(fcinfo->flinfo->fn_extra == NULL))
	{
		MemoryContext caller = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		fcinfo->flinfo->fn_extra = compile(lifecycle, lengthof(lifecycle), levels);
		MemoryContextSwitchTo(caller);
	}
	return fcinfo->flinfo->fn_extra;
}

/* A copy of a segment's name, which outlives the call site. */
static Datum
segment_name_copy(const RulesSegment *segment)
{
	Size		size = VARSIZE_SHORT(segment->name);

	return PointerGetDatum(memcpy(palloc(size), segment->name, size));
}

PG_FUNCTION_INFO_V1(rfm_segment_of);
PG_FUNCTION_INFO_V1(rfm_segment_of_scores);
PG_FUNCTION_INFO_V1(rfm_segment_of_rules);
PG_FUNCTION_INFO_V1(rfm_segment_of_scores_rules);
PG_FUNCTION_INFO_V1(rfm_segment_rank);
PG_FUNCTION_INFO_V1(rfm_segment_stage);
PG_FUNCTION_INFO_V1(rfm_rule_segments);

/* segment_of(rfm_score) */
Datum
rfm_segment_of(PG_FUNCTION_ARGS)
{
	const Rules *rules = default_rules(fcinfo);

	return segment_name_copy(rules_segment(rules, rules_rank_of(rules, PG_GETARG_INT32(0))));
}

/* segment_of(r, f, m) */
Datum
rfm_segment_of_scores(PG_FUNCTION_ARGS)
{
	const Rules *rules = default_rules(fcinfo);
	int			rank = rules_rank(rules, PG_GETARG_INT32(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2));

	return segment_name_copy(rules_segment(rules, rank));
}

/* segment_of(rfm_score, rules): a text within the rules */
Datum
rfm_segment_of_rules(PG_FUNCTION_ARGS)
{
	const Rules *rules = PG_GETARG_RULES(1);

	PG_RETURN_POINTER(rules_segment(rules, rules_rank_of(rules, PG_GETARG_INT32(0)))->name);
}

/* segment_of(r, f, m, rules): a text within the rules */
Datum
rfm_segment_of_scores_rules(PG_FUNCTION_ARGS)
{
	const Rules *rules = PG_GETARG_RULES(3);
	int			rank = rules_rank(rules, PG_GETARG_INT32(0), PG_GETARG_INT32(1), PG_GETARG_INT32(2));

	PG_RETURN_POINTER(rules_segment(rules, rank)->name);
}

/* segment_rank(rfm_score, rules) */
Datum
rfm_segment_rank(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(rules_rank_of(PG_GETARG_RULES(1), PG_GETARG_INT32(0)));
}

/* segment_stage(rfm_score, rules) */
Datum
rfm_segment_stage(PG_FUNCTION_ARGS)
{
	const Rules *rules = PG_GETARG_RULES(1);
	const RulesSegment *segment = rules_segment(rules, rules_rank_of(rules, PG_GETARG_INT32(0)));

	PG_RETURN_TEXT_P(cstring_to_text(stage_names[segment->stage]));
}

/* rule_segments(rules): one row per segment */
Datum
rfm_rule_segments(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	const Rules *rules = PG_GETARG_RULES(0);

	InitMaterializedSRF(fcinfo, 0);
	for (int rank = 1; rank <= rules->nsegments; rank++)
	{
		const RulesSegment *segment = rules_segment(rules, rank);
		bool		ruleless = segment->m_min == 0;
		bool		nulls[] = {false, false, false, ruleless, ruleless};
		Datum		values[] = {
			PointerGetDatum(segment->name),
			Int16GetDatum(rank),
			CStringGetTextDatum(stage_names[segment->stage]),
			Int16GetDatum(segment->m_min),
			Int16GetDatum(segment->m_max)
		};

		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}
