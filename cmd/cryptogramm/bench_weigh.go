package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// weigh is the memory of a process and its descendants in KB, shared pages
// parted among those who share them (PSS).
func weigh(pid int) (int64, error) {
	children := map[int][]int{}
	names, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		// "pid (name) state ppid …", and the name may hold anything.
		fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
		child, e1 := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if len(fields) < 2 || e1 != nil {
			continue
		}
		if parent, err := strconv.Atoi(string(fields[1])); err == nil {
			children[parent] = append(children[parent], child)
		}
	}
	var total int64
	for todo := []int{pid}; len(todo) > 0; todo = todo[1:] {
		kb, err := pss(todo[0])
		if err != nil && todo[0] == pid {
			return 0, err
		}
		total += kb
		todo = append(todo, children[todo[0]]...)
	}
	return total, nil
}

func pss(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("Pss:")); ok {
			return strconv.ParseInt(string(bytes.Fields(rest)[0]), 10, 64)
		}
	}
	return 0, fmt.Errorf("no memory of process %d", pid)
}

// idleTicks is how much of a second's hundred ticks a process takes at most that
// has nothing to do.
const idleTicks = 5

// settle waits until the gateway has done what the letters before have left it
// to do: notices and receipts would share the disk with the floor.
func (t *target) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, benchPatience)
	defer cancel()
	for before := int64(-1); ; {
		now, err := ticks(t.process.Process.Pid)
		if err != nil || before >= 0 && now-before <= idleTicks {
			return err
		}
		before = now
		select {
		case <-ctx.Done():
			return fmt.Errorf("the measured gateway does not come to rest: %w", ctx.Err())
		case <-time.After(time.Second):
		}
	}
}

// ticks is the processor time that a process has taken, in hundredths of a second.
func ticks(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("no processor time of process %d", pid)
	}
	user, e1 := strconv.ParseInt(string(fields[11]), 10, 64)
	system, e2 := strconv.ParseInt(string(fields[12]), 10, 64)
	return user + system, errors.Join(e1, e2)
}
