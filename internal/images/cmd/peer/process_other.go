//go:build !linux

package main

import (
	"context"
	"errors"
)

var errLinuxOnly = errors.New("there are containers on Linux only")

func (p *peer) child(context.Context, []string)  { p.say("child", "", errLinuxOnly) }
func (p *peer) start(context.Context, []string)  { p.say("start", "", errLinuxOnly) }
func (p *peer) nested(context.Context, []string) { p.say("nested", "", errLinuxOnly) }
func (p *peer) killStarted()                     { clear(p.began) }
