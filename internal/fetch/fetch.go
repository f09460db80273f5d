// Package fetch downloads files over HTTP whose names end in the beginning of their
// SHA-256, as PyTorch's model files do.
package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Options say how a file is fetched.
type Options struct {
	// Limit is the greatest size accepted, in bytes.
	Limit int64
	// Stall is how long the server may send nothing; 0: a minute.
	Stall time.Duration
	// Progress, if not nil, is told the bytes there and the whole size, -1 if unknown.
	Progress func(done, total int64)
	// Client does the requests; nil: one that refuses redirects from https to http.
	Client *http.Client
}

// partial ends the names of files that are not complete.
const partial = ".part"

var hashed = regexp.MustCompile(`^[\w.-]*-([0-9a-f]{8,64})\.\w+$`)

// File fetches url into the folder dir, which is made if missing, under the name that
// the URL ends in, and returns its path. What is there of an earlier attempt is
// continued; the file gets its name when it is whole and its SHA-256 begins as the name
// says. A file that is there already is checked and kept; fetched is then false.
func File(ctx context.Context, url, dir string, o Options) (file string, fetched bool, err error) {
	name := path.Base(url)
	m := hashed.FindStringSubmatch(name)
	if m == nil {
		return "", false, fmt.Errorf("%s: the name does not end in a hash, as in resnet50-0676ba61.pth: its contents could not be checked", url)
	}
	file = filepath.Join(dir, name)
	if _, err := os.Stat(file); err == nil {
		if err := check(file, m[1]); err != nil {
			return file, false, fmt.Errorf("%w; remove it to fetch it again", err)
		}
		return file, false, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return file, false, err
	}
	if err := o.body(ctx, url, file+partial); err != nil {
		return file, false, err
	}
	if err := check(file+partial, m[1]); err != nil {
		return file, false, errors.Join(fmt.Errorf("%s: %w; what was fetched is removed, try again", url, err), os.Remove(file+partial))
	}
	return file, true, os.Rename(file+partial, file)
}

// check compares the beginning of a file's SHA-256.
func check(file, want string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if sum := hex.EncodeToString(h.Sum(nil)); !strings.HasPrefix(sum, want) {
		return fmt.Errorf("%s: its SHA-256 begins with %s, its name says %s", file, sum[:len(want)], want)
	}
	return nil
}

func secure(req *http.Request, via []*http.Request) error {
	if len(via) > 10 {
		return errors.New("more than 10 redirects")
	}
	if via[0].URL.Scheme == "https" && req.URL.Scheme != "https" {
		return fmt.Errorf("redirected from https to %s", req.URL.Redacted())
	}
	return nil
}

// body fetches all of url into file, which may hold the beginning.
func (o Options) body(ctx context.Context, url, file string) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := o.Stall
	if stall == 0 {
		stall = time.Minute
	}
	timer := time.AfterFunc(stall, func() { cancel(fmt.Errorf("%s: nothing came for %s", url, stall)) })
	defer timer.Stop()

	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	have, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	resp, err := o.request(ctx, url, have)
	if err != nil {
		return cause(ctx, err)
	}
	defer resp.Body.Close()
	total := int64(-1)
	switch from, size := contentRange(resp.Header.Get("Content-Range")); {
	case resp.StatusCode == http.StatusOK:
		have, total = 0, resp.ContentLength
		if err := f.Truncate(0); err != nil {
			return err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return err
		}
	case resp.StatusCode == http.StatusPartialContent && have > 0 && from == have:
		total = size
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && have > 0 && size == have:
		return nil // whole already
	case have > 0 && (resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable):
		return errors.Join(fmt.Errorf("%s: the server cannot continue at byte %d; %s is removed, try again", url, have, file), os.Remove(file))
	default:
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 200))
		return fmt.Errorf("%s: the server says %s %s", url, resp.Status, bytes.TrimSpace(text))
	}
	if max(total, have) > o.Limit {
		return fmt.Errorf("%s: %d bytes are more than the limit of %d", url, max(total, have), o.Limit)
	}
	buf := make([]byte, 1<<20)
	for {
		n, err := resp.Body.Read(buf)
		timer.Reset(stall)
		if _, bad := f.Write(buf[:n]); bad != nil {
			return bad
		}
		have += int64(n)
		if have > o.Limit {
			return errors.Join(fmt.Errorf("%s: more than the limit of %d bytes came", url, o.Limit), os.Remove(file))
		}
		if o.Progress != nil && n > 0 {
			o.Progress(have, total)
		}
		if err == io.EOF && (total < 0 || have == total) {
			return f.Sync()
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return fmt.Errorf("%s: stopped after %d of %d bytes: %w; run it again to go on", url, have, total, cause(ctx, err))
		}
	}
}

func (o Options) request(ctx context.Context, url string, have int64) (*http.Response, error) {
	client := o.Client
	if client == nil {
		client = &http.Client{CheckRedirect: secure}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	return client.Do(req)
}

// cause is why a context ended, where that is why err came.
func cause(ctx context.Context, err error) error {
	if c := context.Cause(ctx); c != nil {
		return c
	}
	return err
}

// contentRange reads "bytes 5-9/10" or "bytes */10"; -1 for what it does not say.
func contentRange(s string) (from, size int64) {
	m := regexp.MustCompile(`^bytes (?:(\d+)-\d+|\*)/(\d+|\*)$`).FindStringSubmatch(s)
	number := func(i int) int64 {
		if m == nil {
			return -1
		}
		n, err := strconv.ParseInt(m[i], 10, 64)
		if err != nil {
			return -1
		}
		return n
	}
	return number(1), number(2)
}
