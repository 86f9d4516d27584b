#!/bin/sh
# Records what is in this directory with swtpm and tpm2-tools: quotes of PCRs 0, 7 and 16 (extended once), in the
# three signature schemes, over the nonce 00 01 .. 1f; the keys that signed; and keys that are no attestation keys.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
swtpm socket --tpm2 --tpmstate dir="$work" --server type=unixio,path="$work/s" \
    --ctrl type=unixio,path="$work/s.ctrl" --flags not-need-init,startup-clear &
tpm=$!
trap 'kill $tpm; rm -rf "$work"' EXIT
while [ ! -S "$work/s" ]; do sleep 0.1; done
export TPM2TOOLS_TCTI="swtpm:path=$work/s"
cd "$work"
nonce=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f

tpm2_pcrextend 16:sha256=$nonce
tpm2_createek -c ek.ctx -G ecc -u ek.tss
tpm2_flushcontext -t
for scheme in ecdsa rsassa rsapss; do
    case $scheme in ecdsa) key=ecc ;; *) key=rsa ;; esac
    tpm2_createak -C ek.ctx -c $scheme.ctx -G $key -g sha256 -s $scheme -u $scheme.tss -n $scheme.name
    tpm2_flushcontext -t
    tpm2_readpublic -c $scheme.ctx -f tpmt -o "$here/$scheme.ak"
    tpm2_flushcontext -t
    tpm2_quote -c $scheme.ctx --scheme $scheme -l sha256:0,7,16 -q $nonce -g sha256 -m "$here/$scheme.quote" -s "$here/$scheme.signature" \
        -o "$here/$scheme.pcrs" -F values
    tpm2_flushcontext -t
done
tpm2_readpublic -c ek.ctx -f tpmt -o "$here/ecc.ek"
tpm2_flushcontext -t
tpm2_createek -c ekrsa.ctx -G rsa -u ekrsa.tss
tpm2_flushcontext -t
tpm2_readpublic -c ekrsa.ctx -f tpmt -o "$here/rsa.ek"
tpm2_flushcontext -t
tpm2_createprimary -C e -c primary.ctx -G ecc
tpm2_flushcontext -t
tpm2_create -C primary.ctx -G ecc:ecdsa-sha256 -u sign.pub -r sign.priv \
    -a 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign'
tpm2_flushcontext -t
tpm2_load -C primary.ctx -u sign.pub -r sign.priv -c sign.ctx
tpm2_flushcontext -t
tpm2_readpublic -c sign.ctx -f tpmt -o "$here/unrestricted.ak"
tpm2_flushcontext -t
tpm2_quote -c sign.ctx -l sha256:0,7,16 -q $nonce -g sha256 -m "$here/unrestricted.quote" \
    -s "$here/unrestricted.signature" -o "$here/unrestricted.pcrs" -F values

# Certificates of both endorsement keys, from an authority of our own, whose key is not kept.
openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -days 36500 -subj '/CN=Test TPM authority' -out "$here/ca.pem" \
    -addext keyUsage=critical,keyCertSign,cRLSign
openssl ecparam -name prime256v1 -genkey -noout -out other.key
openssl req -x509 -new -key other.key -days 36500 -subj '/CN=Test TPM authority' -out "$here/other-ca.pem" \
    -addext keyUsage=critical,keyCertSign,cRLSign
printf 'keyUsage=critical,keyEncipherment\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=2.23.133.8.1\n%s' \
    'authorityKeyIdentifier=keyid
subjectKeyIdentifier=hash
subjectAltName=critical,dirName:tpm
[tpm]
CN=id:00001014
' > ext
for key in ek:ecc ekrsa:rsa; do
    tpm2_readpublic -c ${key%:*}.ctx -f pem -o ${key#*:}.pem
    tpm2_flushcontext -t
    openssl req -new -key ca.key -subj / -out req
    openssl x509 -req -in req -force_pubkey ${key#*:}.pem -CA "$here/ca.pem" -CAkey ca.key -days 36000 -extfile ext \
        -outform der -out "$here/${key#*:}.der"
done
chmod 644 "$here"/*.*; chmod 755 "$here/make.sh"
