package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Disk is the file system that a folder is or would be on.
type Disk struct {
	Folder   string `json:"folder"` // the nearest one that exists
	Free     int64  `json:"free"`   // bytes, for users that are not root
	Total    int64  `json:"total"`  // bytes
	Writable bool   `json:"writable"`
}

// writable is W_OK of access(2).
const writable = 2

// DiskOf looks at the file system of a folder or, where that is missing, of the nearest
// one above it. A file where a folder has to be is an error.
func DiskOf(path string) (Disk, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return Disk{}, err
	}
	for {
		st, err := os.Stat(dir)
		if err == nil && !st.IsDir() {
			return Disk{}, fmt.Errorf("%s is a file, not a folder", dir)
		}
		if err == nil {
			break
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
			continue
		}
		return Disk{}, err
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Disk{}, fmt.Errorf("%s: %w", dir, err)
	}
	return Disk{Folder: dir, Free: int64(st.Bavail) * int64(st.Bsize), Total: int64(st.Blocks) * int64(st.Bsize),
		Writable: syscall.Access(dir, writable) == nil}, nil
}
