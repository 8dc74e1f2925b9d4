// The microphone: chunks of 16-bit samples at the browser's own rate.

const WRONG = {
  NotAllowedError: "The microphone is not allowed. Allow it for this page, next to its address, and press the button again.",
  NotFoundError: "There is no microphone. Connect one and press the button again.",
  NotReadableError: "The microphone cannot be used. Another program may have it.",
};

export function whyNoMicrophone() {
  if (!window.isSecureContext) {
    return "Browsers give the microphone to pages with https only. Open this page with https://, or on the machine that serves it.";
  }
  if (!navigator.mediaDevices?.getUserMedia || !window.AudioWorkletNode) {
    return "This browser is too old to give a page the microphone.";
  }
  return "";
}

export class Microphone {
  // onchunk(buffer, peak): a tenth of a second; peak is how loud it was, from 0 to 1.
  // onlost(words): no more comes, for the microphone was taken away.
  static async open(onchunk, onlost) {
    const microphone = new Microphone();
    const why = whyNoMicrophone();
    if (why) throw new Error(why);
    try {
      microphone.stream = await navigator.mediaDevices.getUserMedia({audio: {channelCount: 1}});
      microphone.context = new AudioContext();
      await microphone.context.audioWorklet.addModule(new URL("worklet.js", import.meta.url));
      await microphone.context.resume();
    } catch (error) {
      await microphone.release();
      throw new Error(WRONG[error.name] ?? `The microphone cannot be used: ${error.message}`);
    }
    const {context, stream} = microphone;
    microphone.recorder = new AudioWorkletNode(context, "recorder", {
      channelCount: 1, channelCountMode: "explicit", numberOfOutputs: 0,
    });
    microphone.ended = new Promise(resolve => {
      microphone.recorder.port.onmessage = ({data}) => data ? onchunk(data.chunk, data.peak) : resolve();
    });
    stream.getAudioTracks()[0].onended = () => onlost("The microphone was taken away.");
    context.onstatechange = () => {  // a telephone does so for a call
      if (context.state === "interrupted") onlost("The microphone was interrupted.");
    };
    context.createMediaStreamSource(stream).connect(microphone.recorder);
    return microphone;
  }

  get rate() { return this.context.sampleRate; }

  // Resolves when the last chunk was given.
  async close() {
    this.recorder.port.postMessage("end");
    await Promise.race([this.ended, new Promise(resolve => setTimeout(resolve, 500))]);
    await this.release();
  }

  async release() {
    this.stream?.getTracks().forEach(track => { track.onended = null; track.stop(); });
    if (this.context) {
      this.context.onstatechange = null;
      await this.context.close();
    }
  }
}
