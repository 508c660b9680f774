/*
 * repair: lists that no row is in get half of another.
 *
 * Which one is asked by how many rows it has, and by how much those differ: rows that are equal, or
 * nearly so, are worth little, however many they are, and stay in one list. All of it is for rank
 * 0, after an iteration, and lies where the sums of that iteration were.
 */
#ifndef MPIVF_BUILD_REPAIR_H
#define MPIVF_BUILD_REPAIR_H

#include "build/lloyd.h"

/* Give each empty list half of the one that is worth most. How many lists got some. Local. */
uint64_t
mpivf_repair_empty(struct mpivf_lloyd *lloyd);

/*
 * As how many rows those of each list count when lists are split, [lists]. Rows that differ little
 * count little, equal ones not at all. Local.
 */
void
mpivf_repair_weights(struct mpivf_lloyd *lloyd, uint64_t *rows);

#endif
