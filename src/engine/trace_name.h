/* engine/trace_name.h -- how traces are called in their directory. */
#ifndef ENGINE_TRACE_NAME_H
#define ENGINE_TRACE_NAME_H

#define TRACE_SUFFIX ".run"
#define TRACE_UNNAMED "."      /* before a name that is being given */
#define TRACE_UNNAMED_MAX_S 60 /* nobody takes longer; so it was left by someone who died */

#endif
