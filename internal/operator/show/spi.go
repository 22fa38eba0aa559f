package show

import (
	"encoding/json"
	"fmt"

	"lockstep/internal/sa"
)

// SPI is an ESP SPI in a view. Text has it as 0xB761863E(3076621886), JSON in both forms.
type SPI sa.SPI

func (s SPI) String() string { return sa.SPI(s).String() }

// hex is the form of IKEv2 commands.
func (s SPI) hex() string { return fmt.Sprintf("0x%08X", uint32(s)) }

// MarshalJSON implements json.Marshaler.
func (s SPI) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Hex    string `json:"hex"`
		Number uint32 `json:"number"`
	}{s.hex(), uint32(s)})
}
