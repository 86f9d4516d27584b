/* bench/port.h -- ports of 127.0.0.1, for servers that cannot say which one they were given. */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

#include "base/base.h"

uint16_t port_free(void); /* one that is free now */
bool port_is_listening(uint16_t port);

#endif
