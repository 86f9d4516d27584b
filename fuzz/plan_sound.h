/* fuzz/plan_sound.h -- what is true of every plan, whatever it was made of (policy/plan.h). */
#ifndef FUZZ_PLAN_SOUND_H
#define FUZZ_PLAN_SOUND_H

#include "policy/plan.h"

/* Every slot is given a value before it is read, on the only way there is to the step that reads
 * it; sequences end as they should; the tree is sorted and leads where walks say it does. */
void plan_check(const struct plan *plan);
void plan_check_query(const struct plan *plan, const struct plan_query *query);

#endif
