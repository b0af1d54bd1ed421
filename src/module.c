/*
 * module.c
 *	  What the server asks of a loadable module, and its version.
 */
#include "rfm.h"

#include "utils/builtins.h"

RFM_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(rfm_version);

/* version() */
Datum
rfm_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(RFM_VERSION));
}
