package serial

import "testing"

func Test00(t *testing.T) { use(t, 0) }
func Test01(t *testing.T) { use(t, 1) }
func Test02(t *testing.T) { use(t, 2) }
func Test03(t *testing.T) { use(t, 3) }
func Test04(t *testing.T) { use(t, 4) }
func Test05(t *testing.T) { use(t, 5) }
func Test06(t *testing.T) { use(t, 6) }
func Test07(t *testing.T) { use(t, 7) }
func Test08(t *testing.T) { use(t, 8) }
func Test09(t *testing.T) { use(t, 9) }
func Test10(t *testing.T) { use(t, 10) }
func Test11(t *testing.T) { use(t, 11) }
func Test12(t *testing.T) { use(t, 12) }
func Test13(t *testing.T) { use(t, 13) }
func Test14(t *testing.T) { use(t, 14) }
func Test15(t *testing.T) { use(t, 15) }
func Test16(t *testing.T) { use(t, 16) }
func Test17(t *testing.T) { use(t, 17) }
func Test18(t *testing.T) { use(t, 18) }
func Test19(t *testing.T) { use(t, 19) }
func Test20(t *testing.T) { use(t, 20) }
func Test21(t *testing.T) { use(t, 21) }
func Test22(t *testing.T) { use(t, 22) }
func Test23(t *testing.T) { use(t, 23) }
func Test24(t *testing.T) { use(t, 24) }
func Test25(t *testing.T) { use(t, 25) }
func Test26(t *testing.T) { use(t, 26) }
func Test27(t *testing.T) { use(t, 27) }
func Test28(t *testing.T) { use(t, 28) }
func Test29(t *testing.T) { use(t, 29) }
