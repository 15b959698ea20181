/* SPDX-License-Identifier: MIT */
#ifndef SUT_INTEROP_NOTE_H
#define SUT_INTEROP_NOTE_H
/* note - the tables of the role's design note, where each difference to QEMU has a row. */
#include <stdbool.h>

/* Reads the note; false with a line on stderr. */
bool note_read(const char *path);

/* Fails the running test unless a table has a row whose first column is this name.  True for NULL. */
bool note_has_row(const char *row);
#endif
