//go:build !linux

package weights

import "errors"

func mountTmpfs(string) error { return errors.ErrUnsupported }

func unmount(string) {}
