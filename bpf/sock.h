/* SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause */
/* Constants of sockets: the header of the C library does not compile for BPF. */
#pragma once

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define SOCK_RAW 3
