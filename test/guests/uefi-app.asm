; The smallest UEFI guest: says EZVM-UEFI-UP on COM1 when firmware has started it, and powers off at the ACPI button.
; Built by: nasm -f bin -o uefi-app.efi uefi-app.asm; base64 -w0 uefi-app.efi
bits 64
org 0

  db 'MZ'
  times 0x3c - ($ - $$) db 0
  dd pe
pe:
  db 'PE', 0, 0
  dw 0x8664                 ; x86-64
  dw 1                      ; one section
  dd 0, 0, 0
  dw sections - optional
  dw 0x0022                 ; executable, large addresses
optional:
  dw 0x20b                  ; PE32+
  db 0, 0
  dd 0x200                  ; size of code
  dd 0, 0
  dd 0x1000 + start - code  ; entry point
  dd 0x1000                 ; base of code
  dq 0                      ; image base
  dd 0x1000, 0x200          ; alignment in memory and in the file
  dw 0, 0, 0, 0, 0, 0
  dd 0
  dd 0x2000, 0x200          ; size of the image and of its headers
  dd 0
  dw 10, 0                  ; an EFI application
  dq 0, 0, 0, 0
  dd 0, 6
  times 6 dq 0              ; no data directories: the code runs wherever it is put
sections:
  db '.text', 0, 0, 0
  dd 0x200, 0x1000, 0x200, 0x200
  dd 0, 0, 0
  dd 0x60000020             ; code, to be executed and read
  times 0x200 - ($ - $$) db 0

code:
start:
  mov rax, 0x5453595320494249 ; "IBI SYST": the table that only UEFI hands over
  cmp [rdx], rax
  jne hang
  lea rsi, [rel message]
.next:
  lodsb
  test al, al
  jz .said
  mov ah, al
  mov dx, 0x3fd
.busy:
  in al, dx
  test al, 0x20
  jz .busy
  mov al, ah
  mov dx, 0x3f8
  out dx, al
  jmp .next
.said:
  mov dx, 0x602             ; PM1 enable: without it the button is never seen
  mov ax, 0x100
  out dx, ax
.wait:
  mov dx, 0x600             ; PM1 status
  in ax, dx
  test ax, 0x100
  jz .wait
  mov dx, 0x604             ; PM1 control: soft off
  mov ax, 0x2000
  out dx, ax
hang:
  jmp hang
message:
  db 'EZVM-UEFI-UP', 13, 10, 0
  times 0x400 - ($ - $$) db 0
