"""Training of AIC-16, AuraLink's neural speech codec. `python -m aic --help` lists the commands."""

SAMPLE_RATE = 16_000
#: Samples of one 20 ms frame: the unit of the bitstream.
FRAME = 320
#: Samples of one MDCT hop, 10 ms: two to a frame.
HOP = 160
#: Dimensions of the latent that is quantised, one vector a frame.
LATENT = 64
#: Stages of the residual quantiser and bits of each: 12 x 10 bits x 50 frames/s = 6 kbit/s.
STAGES = 12
BITS = 10
#: Stage counts that the bitstream knows: 1.5, 3 and 6 kbit/s.
RATES = (3, 6, 12)
