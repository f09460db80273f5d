package tensorboard

import (
	"encoding/binary"
	"hash/crc32"
	"math"
)

// Scalar is a number under a tag such as "loss/block1"; what stands before the slash
// groups charts.
type Scalar struct {
	Tag   string
	Value float64
}

// Field numbers and wire types of the messages, as protobuf packs them into a key.
const (
	eventWallTime   = 1<<3 | 1 // double, seconds since 1970
	eventStep       = 2 << 3   // varint
	eventVersion    = 3<<3 | 2 // string
	eventSummary    = 5<<3 | 2 // message
	eventSession    = 7<<3 | 2 // message
	sessionStatus   = 1 << 3   // enum
	sessionStart    = 1        // SessionLog.START
	summaryValue    = 1<<3 | 2 // repeated message
	valueTag        = 1<<3 | 2 // string
	valueSimple     = 2<<3 | 5 // float
	fileVersion     = "brain.Event:2"
	maskDelta       = 0xa282ead8
	frameLengthSize = 8
)

// event begins an Event.
func event(wall float64, step int64) []byte {
	b := binary.LittleEndian.AppendUint64([]byte{eventWallTime}, math.Float64bits(wall))
	if step != 0 {
		b = binary.AppendUvarint(append(b, eventStep), uint64(step))
	}
	return b
}

// field adds a string or message.
func field(b []byte, key byte, text []byte) []byte {
	b = binary.AppendUvarint(append(b, key), uint64(len(text)))
	return append(b, text...)
}

// summary packs numbers; those that are no numbers are charted as gaps and stay.
func summary(list []Scalar) []byte {
	var out []byte
	for _, s := range list {
		v := field(nil, valueTag, []byte(s.Tag))
		v = binary.LittleEndian.AppendUint32(append(v, valueSimple), math.Float32bits(float32(s.Value)))
		out = field(out, summaryValue, v)
	}
	return out
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is the checksum of a TFRecord: CRC-32C, turned and shifted so that the checksum
// of data that holds checksums is no weaker.
func masked(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + maskDelta
}

// frame is a TFRecord: length, its checksum, data, its checksum, little endian.
func frame(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+frameLengthSize+8), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, masked(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, masked(data))
}
