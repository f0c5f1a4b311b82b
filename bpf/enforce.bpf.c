//go:build ignore

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/*
 * The programs of record.bpf.c, of which connect4, connect6 and egress also refuse what the policy of an enforcing
 * recording does not allow, and ingress reads which addresses its names have (enforce.h). They share the maps of the
 * programs that they replace.
 */
#define ENFORCE

#include "record.bpf.c"
