// In the browser's audio thread: gathers a tenth of a second of samples and makes them 16-bit.

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.samples = new Int16Array(Math.round(sampleRate / 10));
    this.length = 0;
    this.peak = 0;
    this.port.onmessage = () => {  // the end: what is left, and then nothing more
      this.ended = true;
      this.post();
      this.port.postMessage(null);
    };
  }

  process([[channel]]) {
    if (this.ended) return false;
    for (const value of channel ?? []) {  // no channel while the microphone is starting
      const sample = Math.max(-1, Math.min(1, value));
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.samples[this.length++] = sample * 32767;
      if (this.length === this.samples.length) this.post();
    }
    return true;
  }

  post() {
    if (!this.length) return;
    const chunk = this.samples.slice(0, this.length).buffer;
    this.port.postMessage({chunk, peak: this.peak}, [chunk]);
    this.length = this.peak = 0;
  }
}

registerProcessor("recorder", Recorder);
