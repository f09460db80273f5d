package pins

import (
	_ "github.com/disintegration/imaging"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/schollz/progressbar/v3"
	_ "github.com/spf13/cobra"
	_ "github.com/spf13/viper"
	_ "go4.org/unsafe/assume-no-moving-gc"
	_ "gocv.io/x/gocv"
	_ "gonum.org/v1/plot"
	_ "gorgonia.org/gorgonia"
	_ "gorgonia.org/tensor"
	_ "gopkg.in/yaml.v3"
	_ "golang.org/x/term"
	_ "pgregory.net/rapid"
)
