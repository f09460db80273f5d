// Package fetch downloads files over HTTP: those whose names end in the beginning of
// their SHA-256, as PyTorch's model files do, and others by a sum that is given.
package fetch

import (
	"bytes"
	"context"
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
	// Name is the file's name; "": what the URL ends in.
	Name string
	// Sum is what the contents are checked by; without one the file's name must end in
	// the beginning of a SHA-256.
	Sum Sum
	// Typed says that a person gave the Sum, who may have been wrong: what was fetched
	// is kept where the two differ.
	Typed bool
	// Unchecked accepts a file that nothing is known of.
	Unchecked bool
}

// partial ends the names of files that are not complete, version those of what the
// server calls them.
const (
	partial = ".part"
	version = ".part.version"
)

var hashed = regexp.MustCompile(`^[\w.-]*-([0-9a-f]{8,64})\.\w+$`)

// File fetches url into the folder dir, which is made if missing, under the name that
// the URL ends in or o gives, and returns its path. What is there of an earlier attempt
// is continued; the file gets its name when it is whole and its contents are those of
// its sum. A file that is there already is checked and kept; fetched is then false. A
// file without a sum is continued only if the server says that it is still the same
// one, and one that is there is kept as it is.
func File(ctx context.Context, url, dir string, o Options) (file string, fetched bool, err error) {
	name := o.Name
	if name == "" {
		name = path.Base(url)
	}
	if o.Sum == (Sum{}) {
		if m := hashed.FindStringSubmatch(name); m != nil {
			o.Sum = Sum{SHA256, m[1]}
		} else if !o.Unchecked {
			return "", false, fmt.Errorf("%s: the name does not end in a hash, as in resnet50-0676ba61.pth: its contents could not be checked", url)
		}
	}
	file = filepath.Join(dir, name)
	if _, err := os.Stat(file); err == nil {
		if err := o.Sum.Check(file); err != nil {
			return file, false, fmt.Errorf("%w; remove it to fetch it again", err)
		}
		return file, false, nil
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return file, false, err
	}
	if err := o.body(ctx, url, file); err != nil {
		return file, false, err
	}
	part := file + partial
	if err := o.Sum.Check(part); err != nil && o.Typed {
		return file, false, fmt.Errorf("%s: %w; if the sum that was given is right, remove %s and try again", url, err, part)
	} else if err != nil {
		return file, false, errors.Join(fmt.Errorf("%s: %w; what was fetched is removed, try again", url, err), forget(file))
	}
	if err := os.Rename(part, file); err != nil {
		return file, false, err
	}
	return file, true, forget(file)
}

// forget removes what is left of transfers of file.
func forget(file string) error {
	var all error
	for _, end := range []string{partial, version} {
		if err := os.Remove(file + end); !errors.Is(err, os.ErrNotExist) {
			all = errors.Join(all, err)
		}
	}
	return all
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

// body fetches all of url into file's partial one, which may hold the beginning.
func (o Options) body(ctx context.Context, url, whole string) (err error) {
	file := whole + partial
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
	same := ""
	if o.Sum == (Sum{}) && have > 0 { // nothing would tell two files put together
		b, err := os.ReadFile(whole + version)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if same = string(b); same == "" {
			have = 0
		}
	}
	resp, err := o.request(ctx, url, have, same)
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
		if err := os.WriteFile(whole+version, []byte(tag(resp)), 0o666); err != nil {
			return err
		}
	case resp.StatusCode == http.StatusPartialContent && have > 0 && from == have:
		total = size
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && have > 0 && size == have:
		return nil // whole already
	case have > 0 && (resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable):
		return errors.Join(fmt.Errorf("%s: the server cannot continue at byte %d; %s is removed, try again", url, have, file), forget(whole))
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
			return errors.Join(fmt.Errorf("%s: more than the limit of %d bytes came", url, o.Limit), forget(whole))
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

// tag is how a server tells versions of a file apart: a strong entity tag or a date, ""
// without either.
func tag(resp *http.Response) string {
	if t := resp.Header.Get("ETag"); strings.HasPrefix(t, `"`) {
		return t
	}
	return resp.Header.Get("Last-Modified")
}

// request asks for what follows the first have bytes, or for everything where the file
// is not what it was called by same, if that is not "".
func (o Options) request(ctx context.Context, url string, have int64, same string) (*http.Response, error) {
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
		if same != "" {
			req.Header.Set("If-Range", same)
		}
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
