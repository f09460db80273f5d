package page

import (
	"bytes"
	_ "embed" // for the album's frame
	"errors"
	"html/template"
)

//go:embed album.html
var albumText string

var albumTemplate = template.Must(template.Must(pageTemplate.Clone()).New("album").Parse(albumText))

// Album makes a page of pictures alone, as self-contained as that of runs.
func Album(title string, galleries []Gallery) ([]byte, error) {
	if len(galleries) == 0 {
		return nil, errors.New("page: no pictures")
	}
	shown, err := show(galleries)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = albumTemplate.Execute(&b, struct {
		Title     string
		Style     template.CSS
		Galleries []shownGallery
	}{title, template.CSS(styleText), shown})
	return b.Bytes(), err
}
